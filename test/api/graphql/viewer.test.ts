import t from 'tap'
import { database } from '../../support/database.ts'
import { startService } from '../service.ts'

t.test('without tokens whoever asks is anonymous, and an operator', async (t) => {
  const { pool } = await database(t)
  const { call } = await startService(t, pool)
  const reply = await call('POST', '/graphql', {
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query: '{ viewer { name role } }' }),
  })
  t.strictSame(JSON.parse(reply.text), { data: { viewer: { name: 'anonymous', role: 'OPERATOR' } } })
})
