import type { Pool } from 'pg'
import type { FoundFilter, MessageFilter } from './filter.ts'

/**
 * Finds between which message ids the filter's range of creation lies. It reads up to 20,000 slices, so a list does this once, before its
 * statements: what is stored after it comes on no page of this list.
 */
export async function findCreated(
  database: Pick<Pool, 'query'>,
  filter: MessageFilter,
): Promise<FoundFilter> {
  const { createdAt, ...others } = filter
  if (createdAt?.from === undefined && createdAt?.to === undefined) return others
  const { rows } = await database.query<{ first_message_id: string | null; last_message_id: string | null }>({
    name: 'created_between',
    text: 'select first_message_id, last_message_id from created_between(in_from => $1, in_to => $2)',
    values: [createdAt.from ?? null, createdAt.to ?? null],
  })
  const [row] = rows
  if (row === undefined) throw new Error('a range of ids is one row')
  return {
    ...others,
    createdAt: { ...createdAt, firstId: row.first_message_id, lastId: row.last_message_id },
  }
}
