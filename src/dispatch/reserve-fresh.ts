import type { LaneParts } from './create-lane.ts'
import type { Reservation } from './lane.ts'

// A slice waits for room in the lane for up to `reserveWaitMs`. Once slices have waited in vain for `patienceMs`, they wait no more
// until the lane has caught up. A pause of the process or its cold start is shorter than that. When the first wait in vain ended the
// waiting, a full topic never got back to it: each message was claimed by a look (45 % more CPU).
const reserveWaitMs = 500
const patienceMs = 5_000

/**
 * Gives no room while messages are due: new records must not overtake a backlog, which the lane's own looks work off. If the lane keeps up,
 * this waits for room, because an attempt that starts in the transaction that stores its message saves a claim. If the lane has not kept up
 * for a while, this does not wait until it does: storing records comes first. While the destination does not flow, or has a pace, there is
 * no room.
 */
export async function reserveFresh(
  parts: LaneParts,
  max: number,
  flows: boolean,
  signal: AbortSignal,
): Promise<Reservation> {
  const { lane, waker } = parts
  const wanted = Math.min(max, Math.ceil(lane.capacity / 2))
  const until = performance.now() + reserveWaitMs
  // Several partitions wait here at once, and the first to wake may have taken the room.
  while (flows && !noteKeepingUp(parts, wanted) && isPatient(parts) && !signal.aborted) {
    const restMs = until - performance.now()
    if (restMs <= 0) break
    await lane.waitToKeepUp(wanted, signal, restMs)
  }
  const reservation = lane.reserve(flows && lane.keepsUp(1) && !signal.aborted ? max : 0)
  // Messages without room are due as soon as they are stored. Whether there are any (the slice may fail, or hold duplicates only), the
  // next look finds out.
  const isShort = reservation.room < max
  if (isShort) lane.idle = false
  return {
    ...reservation,
    start: (claims) => {
      reservation.start(claims)
      if (isShort) waker.wake('slot')
    },
    release: () => {
      reservation.release()
      if (isShort) waker.wake('slot')
    },
    loseAnswer: () => {
      reservation.loseAnswer()
      // The lane may be asleep. A lost answer brings no notification, so nothing else would wake it to adopt these attempts.
      waker.wake('reconnect')
    },
  }
}

function noteKeepingUp(parts: LaneParts, wanted: number): boolean {
  const keepsUp = parts.lane.keepsUp(wanted)
  parts.behindSince = keepsUp ? null : (parts.behindSince ?? performance.now())
  return keepsUp
}

function isPatient({ behindSince }: LaneParts): boolean {
  return behindSince === null || performance.now() - behindSince < patienceMs
}
