// RFC 3339 §5.6, a zone required. A second of 60 is a leap second, and means the one after it here.
const form = /^(\d{4})-(\d{2})-(\d{2})[Tt](\d{2}):(\d{2}):(\d{2})(?:\.(\d+))?(?:[Zz]|([+-])(\d{2}):(\d{2}))$/

/**
 * An instant given as RFC 3339, printed as the API prints all of them: in UTC, with six digits, such as
 * 2024-11-22T10:30:00.000123Z, so that instants compare as text. Digits beyond the sixth are dropped, which is as far as
 * PostgreSQL tells instants apart. Null where the text is not an instant of the years 0001 to 9999.
 */
export function normalizeDateTime(text: string): string | null {
  const match = form.exec(text)
  if (match === null) return null
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map(Number) as SixNumbers
  const [fraction = '', sign, zoneHour = '0', zoneMinute = '0'] = match.slice(7)
  const isInRange =
    month >= 1 &&
    month <= 12 &&
    day >= 1 &&
    day <= daysOf(year, month) &&
    hour <= 23 &&
    minute <= 59 &&
    second <= 60 &&
    Number(zoneHour) <= 23 &&
    Number(zoneMinute) <= 59
  if (!isInRange) return null
  const offset = (sign === '-' ? -1 : 1) * (Number(zoneHour) * 60 + Number(zoneMinute))
  const date = new Date(0)
  // Date.UTC takes the years 0 to 99 for those of the twentieth century.
  date.setUTCFullYear(year, month - 1, day)
  date.setUTCHours(hour, minute - offset, second)
  if (date.getUTCFullYear() < 1 || date.getUTCFullYear() > 9_999) return null
  return `${date.toISOString().slice(0, 19)}.${fraction.slice(0, 6).padEnd(6, '0')}Z`
}

/** A time of this process, printed in the same form; it is known to the millisecond. */
export function printTime(time: Date): string
export function printTime(time: Date | null): string | null
export function printTime(time: Date | null): string | null {
  return time === null ? null : time.toISOString().replace('Z', '000Z')
}

type SixNumbers = [number, number, number, number, number, number]

function daysOf(year: number, month: number): number {
  const last = new Date(0)
  last.setUTCFullYear(year, month, 0)
  return last.getUTCDate()
}
