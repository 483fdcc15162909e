import t from 'tap'
import { verify } from '../../../src/verify/verify.ts'
import { archiveAll } from '../../support/archive.ts'
import { database } from '../../support/database.ts'
import { headPasses } from '../../support/head-passes.ts'
import { rebuildAll } from '../../support/rebuild.ts'
import { makeSmallSegments } from '../../support/segments.ts'
import { startService, store, storeDeadLetters } from '../service.ts'
import { dataOf } from './graphql.ts'

t.test('decisions go into an archive with their message, and an archived one takes none', async (t) => {
  const { url, pool } = await database(t)
  await makeSmallSegments(pool, 10)
  const service = await startService(t, pool)
  const ids = Array.from({ length: 9 }, (_, at) => `tx-${at}`)
  await storeDeadLetters(pool, ids)
  await store(pool, ['held', ...Array.from({ length: 10 }, (_, at) => `later-${at}`)])
  await storeDeadLetters(pool, ['open', 'closed'])
  const decide = (kind: string, id: string, more = '') =>
    dataOf<Record<string, { __typename: string }>>(
      service,
      `mutation { ${kind}(transactionId: "${id}", ${more} reason: "why") { __typename } }`,
    ).then((data) => data[kind]!.__typename)
  const resolve = (id: string) => decide('resolve', id, 'as: CARRIED_OUT, evidence: "ticket 7",')
  const counts = () =>
    dataOf(service, '{ metrics { counts { deadLetter } deadLetters { open resolved } held } }')
  t.equal(await decide('hold', 'held'), 'Decided')
  for (const id of [...ids.slice(0, 4), 'closed']) t.equal(await resolve(id), 'Decided')
  t.strictSame(await counts(), {
    metrics: { counts: { deadLetter: '11' }, deadLetters: { open: '6', resolved: '5' }, held: '1' },
  })
  const to = t.testdir()
  await headPasses(pool)
  t.strictSame(await archiveAll(url, to), [], 'a segment with a message on hold stays')

  t.equal(await decide('cancel', 'held'), 'Decided')
  await headPasses(pool)
  const archive = 'segment-000001-messages-1-10'
  t.strictSame(await archiveAll(url, to), [archive])
  t.strictSame(await counts(), {
    metrics: { counts: { deadLetter: '12' }, deadLetters: { open: '1', resolved: '1' }, held: '0' },
  })
  const { rows } = await pool.query<{ n: number }>('select count(*)::int as n from decided_messages')
  t.strictSame(rows, [{ n: 1 }], 'nothing is kept of archived ones')
  for (const [kind, id] of [
    ['hold', 'tx-5'],
    ['release', 'held'],
    ['cancel', 'tx-5'],
    ['reopen', 'tx-0'],
  ] as const)
    t.equal(await decide(kind, id), 'MessageArchived', kind)
  t.equal(await resolve('tx-5'), 'MessageArchived')
  t.equal(await resolve('open'), 'Decided')
  t.strictSame(await counts(), {
    metrics: { counts: { deadLetter: '12' }, deadLetters: { open: '0', resolved: '2' }, held: '0' },
  })

  t.strictSame(await rebuildAll(pool), [])
  // The test's own names of instances are not registered, so S9 and S14 say so; the archive is read whole.
  const report = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null, archives: [to] })
  const differing = report.invariants.filter(({ differences }) => differences > 0).map(({ id }) => id)
  t.notOk(differing.includes('S4') || differing.includes('S26') || differing.includes('S3'), differing.join())
  t.ok(report.invariants.find(({ id }) => id === 'S26')!.checked > 7)
})
