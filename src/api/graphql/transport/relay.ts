import type { ExecutionResult } from 'graphql'
import type { SharedResult } from './subscribe.ts'

/**
 * Sends each answer of a subscription as graphql-transport-ws' `next`, whose text but for the id is the same for all who get
 * it and is made once: left to graphql-ws, each would be checked and printed for each subscriber, 10 µs of 40. What is
 * answered has no values; its end is the subscription's.
 */
export function relay(
  answers: AsyncIterable<ExecutionResult>,
  id: string,
  send: (text: string) => Promise<void> | void,
): AsyncGenerator<never> {
  const source = answers[Symbol.asyncIterator]()
  const head = `{"id":${JSON.stringify(id)},"type":"next","payload":`
  return {
    async next() {
      for (;;) {
        const next = await source.next()
        if (next.done === true) return { done: true, value: undefined }
        const { stringify } = next.value as ExecutionResult & Partial<SharedResult>
        await send(`${head}${stringify?.() ?? JSON.stringify(next.value)}}`)
      }
    },
    async return() {
      await source.return?.()
      return { done: true, value: undefined }
    },
    async throw(error: unknown) {
      await source.return?.()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}
