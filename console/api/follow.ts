import { isRefusal, type Fault } from './ask.ts'
import { backOff } from './back-off.ts'
import { markCut, markLeft, markLive } from './connection.ts'
import type { Operation } from './operations.ts'
import { refusedToken } from './session.ts'
import { socket } from './socket.ts'

export type Following<Result, Variables> = {
  /** Asked at each start: after a cut they carry the last cursor that came. */
  readonly variables: () => Variables
  /** Takes what came. Each fault names a field that is null because of it. */
  readonly take: (data: Result, faults: readonly Fault[]) => void
  /** The cursor leads nowhere any more (archived, or a restored database): what is shown must be asked for anew. */
  readonly lose?: (sentence: string) => void
  /** The service does not take the question, and would not the next time. */
  readonly refuse?: (sentence: string) => void
}

const lostCodes = ['CURSOR_INVALID', 'CURSOR_EPOCH', 'CURSOR_EXPIRED']
// graphql-ws: unauthorized, and forbidden, which is what the service closes with.
const refusedCloses = [4401, 4403]
// graphql-ws: this side gave it up, because no sign of life came.
const silentClose = 4499

/**
 * Follows a subscription until it is left: whatever cuts it off, it goes on from where it was, and says in the meantime that it is cut
 * off (connection.ts).
 *
 * @returns leaves it
 */
export function follow<Result, Variables extends object>(
  { name, text }: Operation<Result, Variables>,
  { variables, take, lose, refuse }: Following<Result, Variables>,
): () => void {
  const follower = Symbol(name)
  const wait = backOff()
  let isLeft = false
  // A stream that was given up may still say that it ended.
  let streams = 0
  let timer: ReturnType<typeof setTimeout> | undefined
  let leave = (): void => undefined

  const start = (): void => {
    streams += 1
    const mine = streams
    const isOver = (): boolean => isLeft || mine !== streams
    leave = socket.subscribe<Result>(
      { operationName: name, query: text, variables: { ...(variables() as object) } },
      {
        next: ({ data, errors }) => {
          if (isOver()) return
          if (!data) {
            fail(errors ?? [])
            return
          }
          wait.reset()
          markLive(follower)
          take(data, errors ?? [])
        },
        error: (cause) => (isOver() ? undefined : fail(cause)),
        // The service ends a stream when it is about to stop.
        complete: () => (isOver() ? undefined : goOn('The service ended the stream.')),
      },
    )
  }

  const fail = (cause: unknown): void => {
    const fault = readFault(cause)
    if (lose !== undefined && lostCodes.includes(fault.extensions?.code ?? '')) {
      stop()
      lose(fault.message)
    } else if (refuse !== undefined && isRefusal(fault)) {
      stop()
      refuse(fault.message)
    } else if (fault.extensions?.code === 'UNAUTHENTICATED') {
      stop()
      refusedToken.value = fault.message
    } else goOn(fault.message)
  }

  const goOn = (reason: string): void => {
    streams += 1
    markCut(follower, reason)
    leave()
    timer = setTimeout(start, wait.next())
  }

  const stop = (): void => {
    isLeft = true
    clearTimeout(timer)
    leave()
    markLeft(follower)
  }

  start()
  return stop
}

/** What a stream ended with: the API's own errors, or the end of the socket. */
function readFault(cause: unknown): Fault {
  if (Array.isArray(cause)) return (cause as Fault[])[0] ?? { message: 'The stream ended.' }
  const { code, reason } = cause as { code?: number; reason?: string }
  if (code !== undefined && refusedCloses.includes(code))
    return { message: reason ?? 'A token is needed.', extensions: { code: 'UNAUTHENTICATED' } }
  if (code === silentClose) return { message: 'The service gives no sign of life.' }
  return { message: reason ? `The service closed the way: ${reason}.` : 'The service cannot be reached.' }
}
