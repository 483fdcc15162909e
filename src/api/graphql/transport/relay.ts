import type { ExecutionResult } from 'graphql'
import type { SharedResult } from './subscribe.ts'

/**
 * Sends each answer of a subscription as a `next` message of graphql-transport-ws. Its text is the same for all subscribers but for the id,
 * and is made once; graphql-ws would check and print it for each subscriber (10 of 40 µs). The generator that is returned yields nothing;
 * it ends when the subscription does.
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
