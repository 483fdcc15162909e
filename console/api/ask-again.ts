import { ask, Refused } from './ask.ts'
import { markCut, markLeft, markLive } from './connection.ts'
import type { Operation } from './operations.ts'

const pauseMs = 2_000

/**
 * Asks the same question again and again, two seconds after each answer, for what has no subscription. While it is not answered, the
 * page is cut off (connection.ts).
 *
 * @param refuse told why where the service does not take the question; then it is not asked again
 * @returns leaves it
 */
export function askAgain<Result, Variables>(
  operation: Operation<Result, Variables>,
  variables: Variables,
  take: (data: Result) => void,
  refuse: ((sentence: string) => void) | null = null,
): () => void {
  const follower = Symbol(operation.name)
  let isLeft = false
  let answeredMs: number | null = null
  let timer: ReturnType<typeof setTimeout> | undefined
  const next = async (): Promise<void> => {
    try {
      const { data } = await ask(operation, variables)
      if (isLeft) return
      answeredMs = Date.now()
      markLive(follower)
      take(data)
    } catch (error) {
      if (isLeft) return
      const sentence = error instanceof Error ? error.message : String(error)
      if (refuse !== null && error instanceof Refused) {
        markLeft(follower)
        refuse(sentence)
        return
      }
      markCut(follower, sentence, answeredMs)
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
