import { initContextCache } from '@pothos/core'
import {
  createSourceEventStream,
  execute,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
} from 'graphql'
import { BytesRead } from '../../accesses/bytes-read.ts'
import type { GraphContext } from '../context.ts'
import { describeAsking, tellRefused } from '../record-reads.ts'
import { shareKey } from './share-key.ts'

type Mask = (error: unknown) => GraphQLError

/** An answer that many get. `stringify` is what Yoga asks for its text, which is made once. */
export type SharedResult = ExecutionResult & { readonly stringify: () => string }

// By what the subscription's field yields, and then by the operation: gone with the last subscriber who waits for it.
const answers = new WeakMap<object, Map<string, Promise<SharedResult>>>()

/**
 * What graphql's `subscribe` does, but that the answer to one event is executed once for all who ask the same of it, and its
 * text made once; with a fresh cache each, so that no loader remembers what an earlier event found. An error of the source
 * is the last answer of the subscription, in the same form on every transport.
 */
export async function subscribe(
  args: ExecutionArgs,
  mask: Mask,
): Promise<ExecutionResult | AsyncGenerator<ExecutionResult>> {
  const source = await createSourceEventStream(args)
  if (!(Symbol.asyncIterator in source)) return source
  const { viewer } = args.contextValue as GraphContext
  return answerEach(source[Symbol.asyncIterator](), args, shareKey(args, viewer) ?? '', mask)
}

/** By hand and not as a generator, because a generator cannot be left while it waits for its source. */
function answerEach(
  source: AsyncIterator<unknown>,
  args: ExecutionArgs,
  key: string,
  mask: Mask,
): AsyncGenerator<ExecutionResult> {
  let isOver = false
  return {
    async next() {
      if (isOver) return { done: true, value: undefined }
      try {
        const next = await source.next()
        isOver = next.done === true
        if (isOver) return { done: true, value: undefined }
        const value: unknown = next.value
        return { done: false, value: await share(value, key, () => answer(value, args, mask)) }
      } catch (error) {
        isOver = true
        // The source goes on where it was not the source that failed.
        void source.return?.()
        return { done: false, value: { errors: [mask(error)] } }
      }
    },
    async return() {
      isOver = true
      await source.return?.()
      return { done: true, value: undefined }
    },
    async throw(error: unknown) {
      isOver = true
      await source.return?.()
      throw error
    },
    [Symbol.asyncIterator]() {
      return this
    },
  }
}

function share(value: unknown, key: string, act: () => Promise<SharedResult>): Promise<SharedResult> {
  if (key === '' || typeof value !== 'object' || value === null) return act()
  let known = answers.get(value)
  if (known === undefined) answers.set(value, (known = new Map<string, Promise<SharedResult>>()))
  let result = known.get(key)
  if (result === undefined) known.set(key, (result = act()))
  return result
}

async function answer(value: unknown, args: ExecutionArgs, mask: Mask): Promise<SharedResult> {
  const context = args.contextValue as GraphContext
  const contextValue = { ...context, bytesRead: new BytesRead(), ...initContextCache() }
  const { data, errors } = await execute({ ...args, rootValue: value, contextValue })
  tellRefused(contextValue)
  // What cannot be recorded is not answered: then the subscription ends.
  if (contextValue.bytesRead.messages > 0)
    await context.accesses.readFollowing(describeAsking(args), contextValue.bytesRead)
  const result: ExecutionResult = { data: data ?? null, ...(errors ? { errors: errors.map(mask) } : {}) }
  let text: string | undefined
  // Not enumerable, for those who copy an answer to send it in another envelope.
  return Object.defineProperty(result, 'stringify', {
    value: () => (text ??= JSON.stringify(result)),
  }) as SharedResult
}
