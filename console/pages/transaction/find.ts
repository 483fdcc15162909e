import { ask, isArchived } from '../../api/ask.ts'
import {
  findByPrefixOperation,
  findByReferenceOperation,
  findMessageOperation,
  findRecordOperation,
  type FindByPrefixResult,
} from '../../api/operations.ts'

export type Page = NonNullable<FindByPrefixResult['messages']>

/** What the API asks of a prefix. */
export const prefixBytesMin = 3

const nothing: Page = { nodes: [], pageInfo: { hasNextPage: false, endCursor: null } }

/** The transaction of exactly this id, or of this Kafka record; null if there is none. An archived one has a page too. */
export async function findExact(text: string): Promise<string | null> {
  const { data } = await ask(findMessageOperation, { transactionId: text }, isArchived)
  if (data.message !== null || data.archived !== null) return text
  const [, topic, partition, offset] = /^(?:record:)?(.+)[:/ ](\d{1,9})[:/ ](\d{1,18})$/.exec(text) ?? []
  if (topic === undefined || partition === undefined || offset === undefined) return null
  const { data: found } = await ask(findRecordOperation, { topic, partition: Number(partition), offset })
  return found.record?.transactionId ?? null
}

/** The newest of those that the processor calls so: it may call several so. */
export async function findByReference(reference: string): Promise<Page> {
  return (await ask(findByReferenceOperation, { reference })).data.messages ?? nothing
}

/** Whether the API looks for ids that begin so. */
export function isPrefix(text: string): boolean {
  return new TextEncoder().encode(text).length >= prefixBytesMin
}

/** A page of those whose id begins so. */
export async function findPrefix(prefix: string, after: string | null): Promise<Page> {
  if (!isPrefix(prefix)) return nothing
  return (await ask(findByPrefixOperation, { prefix, after })).data.messages ?? nothing
}
