import { initContextCache } from '@pothos/core'
import {
  createSourceEventStream,
  execute,
  type ExecutionArgs,
  type ExecutionResult,
  type GraphQLError,
} from 'graphql'
import { BytesRead } from '../../accesses/bytes-read.ts'
import type { GraphContext } from '../create-context.ts'
import { describeAsking, tellRefused } from '../record-reads.ts'
import { shareKey } from './share-key.ts'

type Mask = (error: unknown) => GraphQLError

/** An answer that many get. `stringify` is what Yoga asks for its text, which is made once. */
export type SharedResult = ExecutionResult & { readonly stringify: () => string }

/** An answer, and whose bytes it holds, so that each who gets it is recorded. */
type Answered = { readonly result: SharedResult; readonly bytesRead: BytesRead }

// By what the subscription's field yields, and then by the operation: gone with the last subscriber who waits for it.
const answers = new WeakMap<object, Map<string, Promise<Answered>>>()

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
        const answered = await share(value, key, () => answer(value, args, mask))
        await recordReader(answered, args)
        return { done: false, value: answered.result }
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

function share(value: unknown, key: string, act: () => Promise<Answered>): Promise<Answered> {
  if (key === '' || typeof value !== 'object' || value === null) return act()
  let known = answers.get(value)
  if (known === undefined) answers.set(value, (known = new Map<string, Promise<Answered>>()))
  let result = known.get(key)
  if (result === undefined) known.set(key, (result = act()))
  return result
}

async function answer(value: unknown, args: ExecutionArgs, mask: Mask): Promise<Answered> {
  const context = args.contextValue as GraphContext
  const bytesRead = new BytesRead()
  const contextValue = { ...context, bytesRead, ...initContextCache() }
  const { data, errors } = await execute({ ...args, rootValue: value, contextValue })
  const result: ExecutionResult = { data: data ?? null, ...(errors ? { errors: errors.map(mask) } : {}) }
  let text: string | undefined
  // Not enumerable, for those who copy an answer to send it in another envelope.
  Object.defineProperty(result, 'stringify', {
    value: () => (text ??= JSON.stringify(result)),
  })
  return { result: result as SharedResult, bytesRead }
}

/**
 * Records whose bytes this subscriber gets, or was refused: whoever shares an answer may have another token of the same holder, or another
 * address. What cannot be recorded is not answered: then the subscription ends.
 */
async function recordReader({ bytesRead }: Answered, args: ExecutionArgs): Promise<void> {
  const context = args.contextValue as GraphContext
  tellRefused({ ...context, bytesRead })
  if (bytesRead.messages > 0) await context.accesses.readFollowing(describeAsking(args), bytesRead)
}
