import { execFileSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import t, { type Test } from 'tap'
import type { Access } from '../../src/api/access.ts'
import { describeStatus } from '../../src/tqp/describe-status.ts'
import {
  connectThroughProxy,
  startService,
  store,
  storeDeadLetters,
  storeSuccesses,
  type Service,
} from '../api/service.ts'
import { database } from '../support/database.ts'
import { findFreePort } from '../support/free-port.ts'
import { startProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { start, tqp, type Ended, type Endpoint } from './tqp.ts'

const open: Access = { tokens: [], open: true, introspection: true }
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const withTokens: Access = {
  open: false,
  introspection: false,
  tokens: [
    { name: 'alice', role: 'operator', sha256: sha256('alice-secret') },
    { name: 'irene', role: 'investigator', sha256: sha256('irene-secret') },
    { name: 'victor', role: 'viewer', sha256: sha256('victor-secret') },
  ],
}

const urlOf = ({ port }: Service): string => `http://127.0.0.1:${port}`

async function setUp(t: Test, access = open) {
  const { pool } = await database(t)
  const service = await startService(t, pool, undefined, access)
  return { pool, service, at: { url: urlOf(service) } satisfies Endpoint }
}

t.test('status tells how the service is doing', async (t) => {
  const { pool, at } = await setUp(t)
  await storeSuccesses(pool, ['paid-1', 'paid-2'])
  await storeDeadLetters(pool, ['refused-1'])
  await store(pool, ['waits-1'])
  const { code, output, errors } = await tqp(at, 'status')
  t.match({ code, errors }, { code: 0, errors: '' })
  t.match(output, /^destination {2}default is flowing since \S+Z$/m)
  t.match(output, /^messages {5}1 pending, 0 processing, 0 failed, 2 success, 1 dead letters$/m)
  t.match(output, /^dead letters 1 open, 0 resolved$/m)
  t.match(output, /^last minute {2}4 received, 3 attempts, 2 succeeded, 1 failed, 1 given up$/m)
  t.match(output, /^partition {4}transactions\.incoming\/0: next offset 4, /m)
  const asJson = await tqp(at, 'status', '--json')
  t.match(JSON.parse(asJson.output), { metrics: { counts: { total: '4' }, deadLetters: { open: '1' } } })
  // Such a record is a dead letter that nobody gave up: the line accounts for it all the same.
  await store(pool, ['broken-1', 'broken-2'], { rejection: 'The value is not JSON.' })
  const after = await tqp(at, 'status')
  t.match(after.output, /^messages {5}.* 3 dead letters$/m)
  t.match(after.output, /^last minute .*, 1 given up, 2 rejected or conflicting records$/m)
})

t.test('status tells what is known of Kafka while the database is away', async (t) => {
  const { url } = await database(t)
  const { pool, proxy } = await connectThroughProxy(t, url)
  const at = { url: urlOf(await startService(t, pool, undefined, open)) }
  await proxy.stop()
  const words = await tqp(at, 'status')
  t.match(words, { code: 2, errors: /^The database does not answer: try again later/ })
  t.match(words.output, /^kafka {8}connected since \S+Z\n {13}last fetch \S+Z, last heartbeat \S+Z, /)
  const asJson = await tqp(at, 'status', '--json')
  t.match(asJson, { code: 2, errors: /^The database does not answer/ })
  t.match(JSON.parse(asJson.output), { metrics: { kafka: { connected: true } } })
})

t.test('status says of a stopped partition that it is stopped', async (t) => {
  const { pool, at } = await setUp(t)
  await store(pool, ['waits-1'])
  await pool.query(
    `select stop_partition('transactions.incoming', 0, 1, 1, null, 'records are gone', 'instance-1')`,
  )
  const { output } = await tqp(at, 'status')
  t.match(output, /^partition {4}transactions\.incoming\/0: next offset 1, STOPPED: records are gone/m)
})

t.test('list finds messages by the conditions, page by page', async (t) => {
  const { pool, at } = await setUp(t)
  await storeDeadLetters(pool, ['refused-1', 'refused-2'])
  await storeSuccesses(pool, ['paid-1'])
  const all = await tqp(at, 'list')
  t.equal(all.code, 0, all.errors)
  t.match(
    all.output,
    /^transaction +status +attempts +received +last error\npaid-1 .*\nrefused-2 +dead_letter +1 .* HTTP 422\n/,
  )
  const found = await tqp(
    at,
    'list',
    '--status',
    'dead-letter',
    '--status-code',
    '422',
    '--open',
    '--since',
    '1h',
    '--first',
    '1',
  )
  t.match(found.output, /\nrefused-2 [^\n]*\n1 of 2\nnext page: --after \S+\n$/)
  const cursor = /--after (\S+)/.exec(found.output)?.[1] ?? ''
  const next = await tqp(
    at,
    'list',
    '--status',
    'dead-letter',
    '--status-code',
    '422',
    '--open',
    '--first',
    '1',
    '--after',
    cursor,
  )
  t.match(next, { code: 1, errors: /filter/ }, 'a cursor belongs to its filter')
  const asJson = await tqp(at, 'list', '--prefix', 'paid', '--json')
  t.match(JSON.parse(asJson.output), {
    messages: { nodes: [{ transactionId: 'paid-1', status: 'SUCCESS' }] },
  })
  t.match(await tqp(at, 'list', '--since', 'yesterday'), {
    code: 2,
    errors: /^--since must be a time with its zone/,
  })
  t.match(await tqp(at, 'list', '--open', '--resolved'), {
    code: 2,
    errors: /^Give --open or --resolved, not both/,
  })
})

t.test('a payment that was accepted is in doubt no more', (t) => {
  const standing = { held: false, resolution: null, outcomeUnknown: true }
  t.equal(describeStatus({ ...standing, status: 'SUCCESS' }), 'success')
  t.equal(describeStatus({ ...standing, status: 'FAILED' }), 'failed, in doubt')
  t.end()
})

t.test('show prints the life of one transaction', async (t) => {
  const { pool, at } = await setUp(t)
  await storeDeadLetters(pool, ['refused-1'])
  const { code, output } = await tqp(at, 'show', 'refused-1')
  t.equal(code, 0)
  t.match(output, /^status {7}dead_letter \(refused\), can be replayed$/m)
  t.match(output, /^record {7}transactions\.incoming\/0 at offset 0$/m)
  t.match(
    output,
    /1 {2}\S+Z {2}received .*\n.*attempt_started +1 .*\n.*attempt_failed +1 +refused 422 .* HTTP 422\n.*dead_lettered /,
  )
  t.match(JSON.parse((await tqp(at, 'show', 'refused-1', '--json')).output), {
    message: {
      transactionId: 'refused-1',
      history: [{ version: 1 }, { version: 2 }, { version: 3 }, { version: 4 }],
    },
  })
  t.notMatch(output, /^conflicts/m)
  const conflicting = (offset: number) => `record:transactions.incoming:0:${offset}`
  await store(pool, ['refused-1'], { amount: '10.11' })
  t.match((await tqp(at, 'show', 'refused-1')).output.split('\n'), {
    6: `conflicts    1 record with this id and other bytes: ${conflicting(1)}`,
  })
  t.match(
    (await tqp(at, 'show', conflicting(1))).output,
    /^conflicts {4}with refused-1, which had the id first$/m,
  )
  await store(pool, ['refused-1'], { amount: '10.12' })
  t.match((await tqp(at, 'show', 'refused-1')).output.split('\n'), {
    6: `conflicts    2 records with this id and other bytes: ${conflicting(1)}, ${conflicting(2)}`,
  })
  t.match(await tqp(at, 'show', 'nobody'), { code: 1, errors: 'There is no transaction "nobody".\n' })
  t.match(await tqp(at, 'show'), { code: 2, errors: /^Name one transaction id/ })
})

t.test('decisions are recorded with who and why, and refusals are told', async (t) => {
  const { pool, service } = await setUp(t, withTokens)
  await store(pool, ['waits-1', 'waits-2', '=1', '-1'])
  await storeDeadLetters(pool, ['refused-1', 'refused-2', 'refused-3'])
  const alice = { url: urlOf(service), token: 'alice-secret' }
  const why = ['--reason', "it's asked for"]

  const dry = await tqp(alice, 'cancel', 'waits-1', ...why, '--dry-run')
  t.match(dry, {
    code: 0,
    output: `waits-1: pending\nNothing was changed. This does it:\n  npx tqp cancel waits-1 --reason 'it'\\''s asked for'\n`,
  })
  const printed = dry.output.split('\n')[2]?.trim() ?? ''
  t.equal(
    execFileSync('bash', ['-c', `npx() { printf '%s|' "$@"; }; ${printed}`], { encoding: 'utf8' }),
    "tqp|cancel|waits-1|--reason|it's asked for|",
    'a shell reads it as it was meant',
  )
  t.match(await tqp(alice, 'replay', 'waits-1', ...why, '--dry-run', '--json'), {
    code: 1,
    output:
      /"ok": false,\n +"text": "pending, cannot be replayed"[^]*"command": "npx tqp replay waits-1 --reason /,
  })
  t.match(await tqp(alice, 'resolve', 'refused-1', '--as', 'paid', ...why, '--dry-run'), {
    code: 2,
    errors: /^--as must be carried-out, not-carried-out, duplicate or ignored/,
  })
  for (const [word, id, text] of [
    ['hold', 'refused-1', 'dead_letter, cannot be held'],
    ['cancel', 'refused-1', 'dead_letter, cannot be cancelled'],
    ['release', 'waits-1', 'pending, cannot be released'],
    ['resolve', 'waits-1', 'pending, cannot be resolved'],
    ['reopen', 'refused-1', 'dead_letter, cannot be reopened'],
  ] as const)
    t.match(
      await tqp(
        alice,
        word,
        id,
        ...(word === 'resolve' ? ['--as', 'ignored'] : []),
        ...why,
        '--dry-run',
        '--json',
      ),
      { code: 1, output: `"ok": false,\n      "text": "${text}"` },
      'a dry run does not call done what would be refused',
    )
  t.match(await tqp(alice, 'hold', 'waits-1', '--reason', 'a\nb', '--dry-run'), {
    code: 2,
    errors: /^--reason must be one line/,
  })
  t.match(
    await tqp(alice, 'hold', '=1', ...why, '--dry-run'),
    { output: /\n {2}npx tqp hold '=1' / },
    'zsh takes =1 for the path of a command',
  )
  t.match(await tqp(alice, 'hold', '--reason=-x', '--dry-run', '--', '-1'), {
    code: 0,
    output: /\n {2}npx tqp hold --reason=-x -- -1\n$/,
  })
  t.match(await tqp(alice, 'hold', 'waits-1', 'waits-2', ...why), {
    code: 0,
    output: /^waits-1: done, version 2, now pending, on hold\nwaits-2: done, /,
  })
  t.match(await tqp(alice, 'release', 'waits-2', ...why), { code: 0 })
  t.match(await tqp(alice, 'cancel', 'waits-1', 'refused-1', 'nobody', ...why), {
    code: 1,
    output: /^waits-1: done, version 3, now dead_letter\nrefused-1: .+\nnobody: .+\n$/,
  })
  t.match(
    await tqp(alice, 'resolve', 'refused-1', '--as', 'carried-out', '--evidence', 'statement 7', ...why),
    {
      code: 0,
      output: /now dead_letter, resolved: carried_out\n$/,
    },
  )
  t.match(await tqp(alice, 'replay', 'refused-1', 'refused-2', ...why, '--json'), {
    code: 1,
    output: /"ok": false[^]*"ok": true/,
  })
  for (const done of ['done', 'was done before'])
    t.match(await tqp(alice, 'replay', 'refused-3', '--key', 'k', ...why), {
      code: 0,
      output: `refused-3: ${done}, version 5, now pending\n`,
    })
  t.match(await tqp(alice, 'reopen', 'refused-1', ...why), { code: 0 })
  const { rows } = await pool.query(
    `select type, reason, evidence from message_events where actor = 'alice' order by position, message_id`,
  )
  t.strictSame(
    rows.map(({ type }: { type: string }) => type),
    ['held', 'held', 'released', 'cancelled', 'resolved', 'replayed', 'replayed', 'reopened'],
  )
  t.match(rows[4], { reason: "it's asked for", evidence: 'statement 7' })

  t.match(await tqp(alice, 'hold', 'waits-2'), { code: 2, errors: /^Say why: --reason R/ })
  t.match(await tqp(alice, 'resolve', 'refused-1', ...why), { code: 2, errors: /^--as is missing/ })
  const victor = { url: urlOf(service), token: 'victor-secret' }
  t.match(await tqp(victor, 'hold', 'waits-2', ...why), { code: 1, errors: /operator/ })
  t.match(await tqp({ url: urlOf(service) }, 'status'), {
    code: 1,
    errors: 'The service does not know you: put your token in TQP_TOKEN.\n',
  })
  t.match(await tqp({ url: urlOf(service), token: 'mistyped' }, 'status'), {
    code: 1,
    errors: 'The service does not know the token in TQP_TOKEN.\n',
  })
  for (const words of [['watch'], ['watch', 'waits-1']])
    t.match(await tqp({ url: urlOf(service) }, ...words), { code: 1, errors: /TQP_TOKEN/ })
})

t.test('who is not let in is told why by the service', async (t) => {
  const { service } = await setUp(t, { ...open, open: false })
  const stranger = { url: `http://0.0.0.0:${service.port}` }
  for (const words of [['status'], ['watch', 'tx-1']])
    t.match(await tqp(stranger, ...words), {
      code: 1,
      errors: /^The service was asked by a name that is not localhost\. .*API_TOKENS/,
    })
})

t.test(
  'who comes with a token that is not known is told so, and who comes with none is told where to put it',
  async (t) => {
    const { service } = await setUp(t, withTokens)
    const sentences = [
      'The service does not know you: put your token in TQP_TOKEN.',
      'The service does not know the token in TQP_TOKEN.',
    ]
    for (const [at, sentence] of sentences.entries())
      t.match(await tqp({ url: urlOf(service), ...(at === 1 && { token: 'mistyped' }) }, 'status'), {
        code: 1,
        errors: `${sentence}\n`,
      })
  },
)

t.test('the destination is paused, limited and resumed', async (t) => {
  const { pool, at } = await setUp(t)
  t.match(await tqp(at, 'destination', '--pause', '--until', '30m', '--reason', 'maintenance', '--dry-run'), {
    code: 0,
    output:
      /Nothing was changed\. This does it:\n {2}npx tqp destination --pause --until 30m --reason maintenance\n$/,
  })
  t.strictSame((await pool.query('select from destination_decisions')).rowCount, 0)
  t.match(await tqp(at, 'destination', '--resume', '--reason', 'why', '--dry-run'), {
    code: 1,
    errors: 'Nothing was changed, and it would be refused: destination default is flowing.\n',
  })
  t.match(await tqp(at, 'destination', '--pause', '--until', '30m', '--reason', 'maintenance'), {
    code: 0,
    output: /^Destination default is paused: decision \d+ is recorded\.\n$/,
  })
  t.match(await tqp(at, 'destination', '--pause', '--reason', 'again'), { code: 1, errors: /paused/ })
  t.match(await tqp(at, 'destination', '--rate', '50', '--reason', 'gently'), { code: 0 })
  t.match(await tqp(at, 'destination'), {
    code: 0,
    output:
      /^destination {2}default is paused since .*: maintenance\n[^]*at most 50 attempts a second start\n[^]*rate +50 a second +anonymous +gently\n[^]*operator +paused until \S+Z +anonymous +maintenance\n$/,
  })
  t.match(await tqp(at, 'destination', '--resume', '--reason', 'done'), { code: 0, output: /ramping/ })
  t.match(await tqp(at, 'destination', '--name', 'other'), {
    code: 1,
    errors: /^There is no destination "other"/,
  })
})

t.test('a pause for a while ends by the clock of the service', async (t) => {
  const aheadMs = -2 * 3_600_000
  let until = ''
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const { query, variables } = JSON.parse(body) as { query: string; variables: { until?: string } }
      until = variables.until ?? until
      const result = { __typename: 'DestinationChanged', decision: 1, state: 'PAUSED' }
      const metrics = { at: new Date(Date.now() + aheadMs).toISOString() }
      response.end(JSON.stringify({ data: query.startsWith('mutation') ? { result } : { metrics } }))
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const at = { url: `http://127.0.0.1:${port}` }
  t.match(await tqp(at, 'destination', '--pause', '--until', '30m', '--reason', 'maintenance'), { code: 0 })
  const inMs = Date.parse(until) - Date.now() - aheadMs
  t.ok(inMs > 0 && inMs <= 1_800_000, `${inMs} ms`)
  t.match(await tqp(at, 'destination', '--pause', '--until', '9999999d', '--reason', 'maintenance'), {
    code: 2,
    errors: /^--until must be a time/,
  })
})

t.test('dead letters are planned, and a job replays or resolves them', async (t) => {
  const { pool, at } = await setUp(t)
  await storeDeadLetters(pool, ['refused-1', 'refused-2', 'refused-3'])
  const why = ['--reason', 'mended']
  const idOf = ({ output }: Ended): string => /^Plan (\d+):/.exec(output)?.[1] ?? ''
  t.match(await tqp(at, 'plan', '--status-code', '503', ...why), { code: 1, errors: /^No open dead letter/ })
  const planned = await tqp(at, 'plan', '--status-code', '422', '--since', '1h', ...why)
  t.match(planned, {
    code: 0,
    output:
      /^Plan \d+: 3 open dead letters\. [^]* 3 {2}refused\n[^]*\n {2}npx tqp start \d+ --per-second 20\n/,
  })
  const id = idOf(planned)
  t.match(await tqp(at, 'jobs'), { code: 0, output: 'There are no jobs.\n' })
  const pace = ['--per-second', '20', '--stop-share', '0.5', '--stop-after', '10']
  t.match(await tqp(at, 'start', id, ...pace, '--dry-run'), {
    code: 0,
    output: `Nothing was changed. This does it:\n  npx tqp start ${id} ${pace.join(' ')}\n`,
  })
  t.match(await tqp(at, 'start', id, ...pace), {
    code: 0,
    output:
      /^job {10}\d+ replays, 20 a second, by anonymous: mended\nstate {8}running, started \S+Z\nplanned {6}3: 0 replayed, 0 skipped, 3 left\n/,
  })
  t.match(await tqp(at, 'start', id), { code: 1, errors: /has a job already/ })
  t.match(await tqp(at, 'jobs', id, '--resume', '--reason', 'why', '--dry-run'), {
    code: 1,
    errors: 'Nothing was changed, and it would be refused: the job is running.\n',
  })
  const dry = await tqp(at, 'jobs', id, '--pause', '--reason', 'why', '--dry-run', '--json')
  t.match(JSON.parse(dry.output), {
    job: { state: 'RUNNING' },
    command: `npx tqp jobs ${id} --pause --reason why`,
  })
  t.match(
    await tqp(at, 'jobs', '77', '--pause', '--reason', 'why', '--dry-run', '--json'),
    { code: 1, errors: 'There is no job "77".\n' },
    'in JSON as in words',
  )
  t.match(await tqp(at, 'jobs', id, '--pause', '--reason', 'wait'), { code: 0, output: /^state {8}paused/m })
  t.match(await tqp(at, 'jobs', id, '--pace', '5', '--reason', 'gently', '--json'), {
    code: 0,
    output: /"perSecond": 5,/,
  })
  t.match(await tqp(at, 'jobs', id, '--abort', '--reason', 'not now'), {
    code: 0,
    output: /^state {8}aborted/m,
  })
  t.match(await tqp(at, 'jobs', id, '--resume', '--reason', 'again'), { code: 1 })
  t.match(await tqp(at, 'jobs'), {
    code: 0,
    output: /^job {2}kind .*\n *\d+ +replay +aborted +3 +0 +0 +3 /,
  })
  t.match(await tqp(at, 'jobs', '77'), { code: 1, errors: 'There is no job "77".\n' })

  const other = idOf(await tqp(at, 'plan', '--reason', 'a look'))
  t.match(await tqp(at, 'start', other, '--reason', 'the processor is back', '--key', 'k1'), {
    code: 0,
    output: /^job {10}\d+ replays, by anonymous: the processor is back\n/,
  })
  t.match(
    await tqp(at, 'start', other, '--key', 'k1'),
    { code: 1 },
    'with another reason it is another request',
  )

  const second = idOf(await tqp(at, 'plan', ...why))
  t.match(await tqp(at, 'start', second, '--resolve-as', 'ignored', '--per-second', '5', ...why), {
    code: 2,
    errors: /^--per-second belongs to a replay, not to --resolve-as/,
  })
  t.match(await tqp(at, 'start', second, '--resolve-as', 'paid', ...why, '--dry-run'), {
    code: 2,
    errors: /^--resolve-as must be carried-out/,
  })
  t.match(await tqp(at, 'start', second, '--resolve-as', 'not-carried-out', ...why), {
    code: 0,
    output: /^job {10}\d+ resolves as not_carried_out, by anonymous: mended\n/,
  })
})

t.test('watch tells each event once, and goes on after a break', async (t) => {
  const { pool, service } = await setUp(t)
  const proxy = await startProxy(t, { host: '127.0.0.1', port: service.port })
  const child = start({ url: `http://127.0.0.1:${proxy.port}` }, 'watch', '--json')
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  let errors = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text))
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text))
  const ids = () =>
    output
      .split('\n')
      .filter(Boolean)
      .map((line) => (JSON.parse(line) as { transactionId: string }).transactionId)
  let stored = 0
  const storeOne = async () => {
    stored += 1
    await store(pool, [`id-${stored}`])
    service.events.give()
  }
  // It follows from the moment that it has the head, which nobody can see from here.
  await until('it to follow', async () => {
    if (ids().length === 0) await storeOne()
    return ids().length > 0
  })
  const first = Number(ids()[0]?.slice(3))
  proxy.cut()
  await storeOne()
  await until('it to say that it is cut off', () => errors.includes('Trying again'))
  await storeOne()
  await until('it to go on', () => ids().length === stored - first + 1)
  t.strictSame(
    ids(),
    Array.from({ length: stored - first + 1 }, (_, at) => `id-${first + at}`),
    'nothing is missed, and nothing comes twice',
  )
  child.kill('SIGINT')
  await until('it to end', () => child.exitCode !== null)
  t.equal(child.exitCode, 0)
})

t.test('watch follows one transaction, also before it is received', async (t) => {
  const { pool, service, at } = await setUp(t)
  const child = start(at, 'watch', 'refused-1')
  t.teardown(() => child.kill('SIGKILL'))
  let output = ''
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text))
  await until('it to follow', () => output !== '')
  t.equal(output, 'refused-1 has not been received yet.\n')
  await storeDeadLetters(pool, ['refused-1'])
  await until('it to be told', () => {
    service.events.give()
    return output.includes('dead_letter')
  })
  t.match(output, /version 4: dead_letter after 1 attempt \(HTTP 422\)\n$/)
})

t.test('what comes from outside is printed on one line, and no terminal obeys it', async (t) => {
  const { pool, at } = await setUp(t)
  await store(pool, ['waits-1'])
  // The service refuses such a reason; a log that came from elsewhere may have one.
  await pool.query(`update message_states set error_message = E'\\x1b[2Jgone\\nsecond line\\u009b2J\\u202e'`)
  const { output } = await tqp(at, 'list')
  t.notMatch(output, '\u001b')
  t.match(output, 'second line')
  t.equal(output.trimEnd().split('\n').length, 3)
  const asJson = await tqp(at, 'list', '--json')
  // eslint-disable-next-line no-control-regex
  t.notMatch(asJson.output, /[\x1b\x9b\u202e]/)
  t.match(JSON.parse(asJson.output), {
    messages: { nodes: [{ errorMessage: '\x1b[2Jgone\nsecond line\x9b2J\u202e' }] },
  })
})

t.test('what was begun is done to its end, also where nobody reads any more what became of it', async (t) => {
  const { pool, at } = await setUp(t)
  const ids = ['waits-1', 'waits-2', 'waits-3']
  await store(pool, ids)
  const child = start(at, 'hold', ...ids, '--reason', 'why')
  child.stdout!.destroy()
  const [code] = (await once(child, 'exit')) as [number | null]
  t.equal(code, 0)
  const { rowCount } = await pool.query(`select from message_events where type = 'held'`)
  t.equal(rowCount, 3)
})

t.test('it says what it cannot do', async (t) => {
  const nowhere = { url: `http://127.0.0.1:${await findFreePort()}` }
  t.match(await tqp(nowhere, 'status'), {
    code: 2,
    errors: /^Could not reach http.*ECONNREFUSED.*TQP_URL says where/,
  })
  t.match(await tqp(nowhere, 'watch'), { code: 2, errors: /^Could not reach / })
  t.match(await tqp({ url: 'somewhere' }, 'status'), { code: 2, errors: /^TQP_URL must be a URL/ })
  t.match(await tqp(nowhere, 'destroy'), {
    code: 2,
    errors: /^There is no command "destroy": status, list, /,
  })
  t.match(await tqp(nowhere), { code: 2, errors: /^Name a command: status, / })
  t.match(await tqp(nowhere, 'hold', 'a', '--reason', 'why', '--json'), {
    code: 2,
    output: /^\{\n {2}"results": \[\]/,
    errors: /^Could not reach .* It may have been recorded for a all the same/,
  })
  for (const words of [
    ['destination', '--pause'],
    ['start', '1', '--resolve-as', 'ignored'],
    ['jobs', '1', '--abort'],
  ])
    t.match(await tqp(nowhere, ...words, '--reason', 'why'), {
      code: 2,
      errors:
        /^Could not reach .* It may have been recorded.* all the same: look with npx tqp (destination|jobs)\.\n$/,
    })
  t.match(await tqp(nowhere, 'destination', '--rate', '', '--reason', 'why'), {
    code: 2,
    errors: /^--rate must be a number/,
  })
  t.match(await tqp(nowhere, 'list', '--partition', ''), {
    code: 2,
    errors: /^--partition must be a whole number/,
  })
  const secret = await tqp({ ...nowhere, token: 'sec\nret' }, 'status')
  t.match(secret, { code: 2, errors: 'TQP_TOKEN holds characters that no token has.\n' })
  t.match(await tqp(nowhere, 'list', '--colour'), { code: 2, errors: /--colour/ })
  t.match(await tqp(nowhere, '--help'), { code: 0, output: /^Usage: npx tqp COMMAND/ })
  for (const name of ['status', 'resolve', 'destination'])
    t.match(await tqp(nowhere, name, '--help'), {
      code: 0,
      output: new RegExp(`^Usage: npx tqp ${name} [^]*--help +this text\n\nEnds with 0 `),
    })
  t.match(await tqp(nowhere, 'token', '--name', 'alice', '--role', 'viewer'), {
    code: 0,
    output: /alice:viewer:/,
  })
  t.match(await tqp(nowhere, 'verify', '--help'), { code: 0, output: /^Usage: npm run verify/ })
})

t.test('accesses lists who came to the data, to an investigator and to nobody below', async (t) => {
  const { pool, at } = await setUp(t, withTokens)
  await store(pool, ['tx-1'])
  const irene = { ...at, token: 'irene-secret' }
  await fetch(`${at.url}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: 'Bearer irene-secret' },
    body: JSON.stringify({ query: 'query Look { message(transactionId: "tx-1") { payload { text } } }' }),
  })
  const { code, output, errors } = await tqp(irene, 'accesses', '--kind', 'payload-read', '--id', 'tx-1')
  t.match({ code, errors }, { code: 0, errors: '' })
  t.match(output, /payload_read +irene \(investigator\) +127\.0\.0\.1 +Look +1 +tx-1$/m)
  const asJson = JSON.parse((await tqp(irene, 'accesses', '--json')).output) as unknown
  t.match(asJson, {
    accesses: { nodes: [{ kind: 'PAYLOAD_READ', actor: 'irene', transactionIds: ['tx-1'] }] },
  })
  t.match(await tqp({ ...at, token: 'victor-secret' }, 'accesses'), {
    code: 1,
    errors: /^Only an investigator or an operator/,
  })
  t.match(await tqp(irene, 'accesses', '--id', ''), {
    code: 1,
    output: '',
    errors: 'transactionId is empty: name one, or leave it out.\n',
  })
  t.match(await tqp(irene, 'accesses', '--kind', 'nothing'), {
    code: 2,
    errors: /^--kind must be one of login_refused/,
  })
  t.match(
    await tqp({ ...at, token: 'victor-secret' }, 'show', 'tx-1'),
    { code: 0, errors: '' },
    'a viewer is shown what he may see',
  )
})

t.test('the completion completes words and flags', async (t) => {
  const script = await tqp({ url: 'http://127.0.0.1:1' }, 'completion', 'bash')
  const file = join(t.testdir(), 'completion')
  writeFileSync(file, script.output)
  const complete = (...words: string[]) =>
    execFileSync(
      'bash',
      [
        '-c',
        `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _tqp; printf '%s ' "\${COMPREPLY[@]}"`,
        file,
        ...words,
      ],
      { encoding: 'utf8' },
    ).trim()
  t.equal(complete('tqp', 're'), 'replay release resolve reopen')
  t.equal(complete('tqp', 'resolve', '--e'), '--evidence')
  t.match((await tqp({ url: 'http://127.0.0.1:1' }, 'completion', 'zsh')).output, /^#compdef tqp\n/)
  t.match(await tqp({ url: 'http://127.0.0.1:1' }, 'completion'), { code: 2, errors: /bash or zsh/ })
})
