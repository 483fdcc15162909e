import { serverAudits } from 'graphql-http'
import t from 'tap'
import { database } from '../../support/database.ts'
import { startService } from '../service.ts'

t.test('GraphQL over HTTP is spoken as its specification has it', async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  const audits = serverAudits({ url: `http://127.0.0.1:${port}/graphql`, fetchFn: fetch })
  t.equal(audits.length, 61)
  for (const { id, name, fn } of audits) {
    const result = await fn()
    t.match(result, { status: 'ok' }, `${id} ${name}`)
  }
})
