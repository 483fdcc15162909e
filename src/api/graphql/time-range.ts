import { builder } from './builder.ts'

/** Both ends in UTC with six digits, so that they compare as text; an end that is not given is open. */
export type TimeRangeInput = { from?: string | null | undefined; to?: string | null | undefined }

export const TimeRange = builder.inputRef<TimeRangeInput>('TimeRange').implement({
  description: 'from inclusive, to exclusive',
  fields: (t) => ({
    from: t.field({ type: 'DateTime', description: 'The first instant of the range; open if not given.' }),
    to: t.field({ type: 'DateTime', description: 'The first instant after the range; open if not given.' }),
  }),
})
