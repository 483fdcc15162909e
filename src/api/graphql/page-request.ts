import { refuse } from './errors.ts'
import { readBounded } from './read-bounded.ts'

export type PageArguments = {
  first?: number | null | undefined
  after?: string | null | undefined
  last?: number | null | undefined
  before?: string | null | undefined
}

export type PageRequest<Cursor> = {
  readonly rowsMax: number
  readonly backwards: boolean
  readonly after: Cursor | null
  readonly before: Cursor | null
}

/**
 * What a connection is asked for (Relay's cursor connections): so many from the start of a range, or with `last` from its end.
 *
 * @param decode null for a cursor that is none
 * @throws BAD_USER_INPUT, CURSOR_INVALID
 */
export function readPageRequest<Cursor>(
  { first, after, last, before }: PageArguments,
  limits: { readonly rowsDefault: number; readonly rowsMax: number },
  decode: (text: string) => Cursor | null,
): PageRequest<Cursor> {
  if (isGiven(first) && isGiven(last)) {
    throw refuse(
      'BAD_USER_INPUT',
      'first and last exclude each other: give first with after, or last with before.',
    )
  }
  const backwards = isGiven(last)
  const rows = last ?? first ?? limits.rowsDefault
  return {
    rowsMax: readBounded(backwards ? 'last' : 'first', rows, 0, limits.rowsMax),
    backwards,
    after: readCursor('after', after, decode),
    before: readCursor('before', before, decode),
  }
}

function isGiven<Value>(value: Value | null | undefined): value is Value {
  return value !== null && value !== undefined
}

function readCursor<Cursor>(
  name: string,
  text: string | null | undefined,
  decode: (text: string) => Cursor | null,
): Cursor | null {
  if (!isGiven(text)) return null
  const cursor = decode(text)
  if (cursor !== null) return cursor
  throw refuse(
    'CURSOR_INVALID',
    `${name} is no cursor of this list in this order and with this filter: begin without one, or repeat the query that it is from.`,
  )
}

/** What a page of found rows says of itself: what lies before the first one asked after is not looked at again. */
export function describePage<Cursor>(
  request: PageRequest<Cursor>,
  page: { readonly start: string | null; readonly end: string | null; readonly hasMore: boolean },
) {
  return {
    hasNextPage: request.backwards ? request.before !== null : page.hasMore,
    hasPreviousPage: request.backwards ? page.hasMore : request.after !== null,
    startCursor: page.start,
    endCursor: page.end,
  }
}
