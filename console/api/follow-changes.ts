import { ask } from './ask.ts'
import { follow } from './follow.ts'
import { changesOperation, headOperation, type ChangesVariables } from './operations.ts'

// A list is not read more often than this, however much happens.
const pauseMs = 2_000

/**
 * Calls back when something of these types has happened: at once for the first, then at most every two seconds. It follows the log by
 * its cursor, so that what happens during a cut is told after it.
 *
 * @returns leaves it
 */
export function followChanges(types: NonNullable<ChangesVariables['types']>, tell: () => void): () => void {
  let isLeft = false
  let stop = (): void => undefined
  let timer: ReturnType<typeof setTimeout> | undefined
  let toldMs = 0

  const tellSoon = (): void => {
    timer ??= setTimeout(
      () => {
        timer = undefined
        toldMs = Date.now()
        tell()
      },
      Math.max(0, toldMs + pauseMs - Date.now()),
    )
  }
  const start = async (): Promise<void> => {
    let cursor: string
    try {
      cursor = (await ask(headOperation, {})).data.head?.cursor ?? ''
    } catch {
      // The list itself says that the service does not answer.
      if (!isLeft) setTimeout(() => void start(), pauseMs)
      return
    }
    if (isLeft) return
    stop = follow(changesOperation, {
      variables: () => ({ after: cursor, types }),
      take: ({ messageEvents }) => {
        cursor = messageEvents.cursor
        if (messageEvents.node !== null) tellSoon()
      },
      lose: () => {
        tellSoon()
        void start()
      },
    })
    // Between what the list showed first and this cursor something may have come.
    tellSoon()
  }
  void start()
  return () => {
    isLeft = true
    clearTimeout(timer)
    stop()
  }
}
