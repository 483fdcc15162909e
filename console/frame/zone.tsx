import { chooseZone, zone } from '../parts/time.tsx'

/** Whether times are shown in the reader's zone or in UTC. */
export function ZoneChoice() {
  const other = zone.value === 'local' ? 'utc' : 'local'
  return (
    <button type="button" aria-pressed={zone.value === 'utc'} onClick={() => chooseZone(other)}>
      Times in UTC
    </button>
  )
}
