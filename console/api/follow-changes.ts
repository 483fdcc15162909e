import { askHead } from './ask-head.ts'
import { backOff } from './back-off.ts'
import { follow } from './follow.ts'
import { changesOperation, type ChangesVariables } from './operations.ts'

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
  let again: ReturnType<typeof setTimeout> | undefined
  let toldMs = 0
  const wait = backOff(pauseMs)

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
  const startLater = (): void => {
    if (!isLeft) again = setTimeout(() => void start(), wait.next())
  }
  const start = async (): Promise<void> => {
    let cursor: string
    try {
      cursor = await askHead()
    } catch {
      // The list itself says that the service does not answer.
      startLater()
      return
    }
    if (isLeft) return
    stop = follow(changesOperation, {
      variables: () => ({ after: cursor, types }),
      take: ({ messageEvents }, faults) => {
        wait.reset()
        cursor = messageEvents.cursor
        if (messageEvents.node !== null || faults.length > 0) tellSoon()
      },
      lose: () => {
        tellSoon()
        startLater()
      },
    })
    // Between what the list showed first and this cursor something may have come.
    tellSoon()
  }
  void start()
  return () => {
    isLeft = true
    clearTimeout(timer)
    clearTimeout(again)
    stop()
  }
}
