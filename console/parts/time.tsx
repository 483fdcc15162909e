import { computed, signal } from '@preact/signals'
import { formatDuration } from './format.ts'

const zoneKey = 'console:zone'

export type Zone = 'local' | 'utc'

/** In which zone times are shown; the other one is told beside it. */
export const zone = signal<Zone>(localStorage.getItem(zoneKey) === 'utc' ? 'utc' : 'local')

export function chooseZone(chosen: Zone): void {
  localStorage.setItem(zoneKey, chosen)
  zone.value = chosen
}

/** This machine's time, by the second. */
export const nowMs = signal(Date.now())
setInterval(() => {
  nowMs.value = Date.now()
}, 1_000)

// Answers take their time, and every one a different one.
const unsureMs = 2_000

/** How far the service's clock is ahead of this machine's. */
const aheadMs = signal(0)

/** Notes the service's time as an answer has it, so that what is counted from its times does not depend on this machine's clock. */
export function noteServiceTime(at: string): void {
  const ahead = Date.parse(at) - Date.now()
  if (Math.abs(ahead - aheadMs.peek()) > unsureMs) aheadMs.value = Math.abs(ahead) > unsureMs ? ahead : 0
}

/** The service's time now, as far as this page has heard of it. */
export function serviceNowMs(): number {
  return Date.now() + aheadMs.peek()
}

/** The same by the minute, for what changes seldom. */
const minuteMs = computed(() => Math.floor(nowMs.value / 60_000) * 60_000)

/** A time of the API, to the millisecond. Times of today leave out the date. */
export function Time({ at }: { at: string | null }) {
  if (at === null) return <>–</>
  const other = zone.value === 'local' ? 'utc' : 'local'
  return (
    <time dateTime={at} title={formatTime(at, other, true)}>
      {formatTime(at, zone.value, false)}
    </time>
  )
}

/** The same in both zones, for where there is room. */
export function BothTimes({ at }: { at: string | null }) {
  if (at === null) return <>–</>
  return (
    <time dateTime={at}>
      {formatTime(at, 'local', true)} <span class="quiet">({withoutSameDate(at)})</span>
    </time>
  )
}

/** In UTC; without the date where that is the local one too. */
function withoutSameDate(at: string): string {
  const [local, utc] = [formatTime(at, 'local', true), formatTime(at, 'utc', true)]
  const [date = ''] = local.split(' ')
  return utc.startsWith(date) ? utc.slice(date.length + 1) : utc
}

/** How long ago, counting on. */
export function Age({ since }: { since: string | null }) {
  if (since === null) return <>–</>
  return <>{formatDuration(Math.max(0, nowMs.value + aheadMs.value - Date.parse(since)))}</>
}

/** @param whole with its date and the name of its zone, whatever day it is */
function formatTime(at: string, shown: Zone, whole: boolean): string {
  const date = new Date(at)
  const pad = (value: number, length = 2): string => String(value).padStart(length, '0')
  const [year, month, day, hours, minutes, seconds] =
    shown === 'utc'
      ? [
          date.getUTCFullYear(),
          date.getUTCMonth() + 1,
          date.getUTCDate(),
          date.getUTCHours(),
          date.getUTCMinutes(),
          date.getUTCSeconds(),
        ]
      : [
          date.getFullYear(),
          date.getMonth() + 1,
          date.getDate(),
          date.getHours(),
          date.getMinutes(),
          date.getSeconds(),
        ]
  const clock = `${pad(hours)}:${pad(minutes)}:${pad(seconds)}.${pad(date.getMilliseconds(), 3)}`
  // A page may stay open for days.
  const isToday = !whole && Math.abs(minuteMs.value - date.getTime()) < 12 * 3_600_000
  const text = isToday ? clock : `${year}-${pad(month)}-${pad(day)} ${clock}`
  return whole ? `${text} ${shown === 'utc' ? 'UTC' : 'local'}` : text
}
