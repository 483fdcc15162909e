import type pg from 'pg'

/** Below which minute since 1970 the rollups are kept by the hour, and below which by the day (UTC); -Infinity for nowhere. */
export type RollupBounds = { readonly hoursBelow: number; readonly daysBelow: number }

const [hour, day] = [60, 1_440]

export async function readRollupBounds(client: pg.Client): Promise<RollupBounds> {
  const { rows } = await client.query<{ hours_below: number; days_below: number }>(`
    select extract(epoch from ${bound('hours_below')})::float8 / 60 as hours_below,
      extract(epoch from ${bound('days_below')})::float8 / 60 as days_below`)
  return { hoursBelow: rows[0]?.hours_below ?? -Infinity, daysBelow: rows[0]?.days_below ?? -Infinity }
}

/** The minute since 1970 in whose row of the rollups this minute is counted. */
export function agedMinute(minute: number, { hoursBelow, daysBelow }: RollupBounds): number {
  if (minute < daysBelow) return Math.floor(minute / day) * day
  if (minute < hoursBelow) return Math.floor(minute / hour) * hour
  return minute
}

/** SQL for the same. `time` is SQL for a time, and the result is the begin of its minute, hour or day. */
export function agedTime(time: string): string {
  return `date_trunc(case when ${time} < ${bound('days_below')} then 'day'
    when ${time} < ${bound('hours_below')} then 'hour' else 'minute' end, ${time}, 'UTC')`
}

function bound(column: 'hours_below' | 'days_below'): string {
  return `(select coalesce(max(${column}), '-infinity') from rollup_bounds)`
}
