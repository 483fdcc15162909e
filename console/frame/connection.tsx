import { cut, isLive } from '../api/connection.ts'
import { formatDuration } from '../parts/format.ts'
import { nowMs } from '../parts/time.tsx'

/** Whether what is shown is live. While it is cut off, it says since when and why: what is shown then is of before. */
export function Connection() {
  const broken = cut.value
  if (broken !== null)
    return (
      <div class="connection cut">
        <span role="alert">Cut off: what you see is from before. {broken.reason}</span>{' '}
        <span>
          {formatDuration(Math.max(0, nowMs.value - broken.sinceMs))} so far; it goes on by itself where it
          stopped.
        </span>
      </div>
    )
  return (
    <div class="connection" role="status">
      {isLive.value ? 'Live' : 'Not following anything'}
    </div>
  )
}
