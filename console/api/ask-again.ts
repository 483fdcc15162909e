import { ask } from './ask.ts'
import { markCut, markLeft, markLive } from './connection.ts'
import type { Operation } from './operations.ts'

const pauseMs = 2_000

/**
 * Asks the same question again and again, two seconds after each answer, for what has no subscription. While it is not answered, the
 * page is cut off (connection.ts).
 *
 * @returns leaves it
 */
export function askAgain<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  take: (data: Result) => void,
): () => void {
  const follower = Symbol(operation.name)
  let isLeft = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const next = async (): Promise<void> => {
    try {
      const { data } = await ask(operation, variables)
      if (isLeft) return
      markLive(follower)
      take(data)
    } catch (error) {
      if (isLeft) return
      markCut(follower, error instanceof Error ? error.message : String(error))
    }
    timer = setTimeout(() => void next(), pauseMs)
  }
  void next()
  return () => {
    isLeft = true
    clearTimeout(timer)
    markLeft(follower)
  }
}
