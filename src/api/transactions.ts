import { listTransactions } from '../log/read/list-transactions.ts'
import { ask } from './ask.ts'
import type { ApiDependencies } from './api-dependencies.ts'
import { json, refusal, type Answer, type Call } from './route.ts'

const limitDefault = 20
const limitMax = 1_000

export async function transactions({ database }: ApiDependencies, { query }: Call): Promise<Answer> {
  const limit = readLimit(query.getAll('limit'))
  if (limit === null) return refusal(400, `limit must be a whole number from 1 to ${limitMax}.`)
  return json(200, await ask(database, (client) => listTransactions(client, limit)))
}

function readLimit(given: readonly string[]): number | null {
  if (given.length === 0) return limitDefault
  const [text = ''] = given
  const limit = given.length === 1 && /^\d{1,4}$/.test(text) ? Number(text) : 0
  return limit >= 1 && limit <= limitMax ? limit : null
}
