import { readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { readCount, runCommand } from '../src/commands/run-command.ts'
import { measureCases, readCases } from './cases.ts'
import type { Entry } from '../src/embedded/mock/ledger.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { generateMessages } from './generate-messages.ts'
import {
  connect,
  countEffects,
  fill,
  join,
  lastMessageId,
  readDelivery,
  readLedger,
  setOutage,
  settled,
  verifyWithLedger,
  type Instance,
} from './line.ts'
import { ask, readMemory, readPeakMemory } from './measure.ts'
import { onlyDeadLetters } from './message-scripts.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startPartsOn,
  type NamedFlags,
  type Parts,
  type Servers,
} from './parts.ts'

const usage = `Usage: npm run bench:jobs -- [--only CASE,…] [--letters N] [--payments N] [--planned N] [--json F] [--stock]

Replay jobs and payments in doubt at full size, with two instances. The cases follow each other on the same servers, each on a database and
a topic of its own. The processor keeps a ledger of all requests, and MAX_CONCURRENT is 500.

  pace      --letters dead letters are replayed at 200 a second, while live payments come at 50 a second: the requests of the job in each
            second, and the time of live payments before the job and during it
  trouble   the same; at 30 % the instance that runs the job is killed (kill -9), and from 40 % on the processor refuses everything until the
            job has stopped by itself; then it is resumed by hand
  asked     a processor loses 30 % of its answers after the effect, and forgets keys after 60 s: --payments payments with KEY_WINDOW=60
            and STATUS_URL
  bare      the same with neither: some are paid twice
  plan      a plan of --planned dead letters, and the first replay of its job

  --only CASE,…  the cases (default all)
  --letters N    (default 20000)
  --payments N   (default 20000)
  --planned N    (default 1000000)
  --json F       writes the figures to F too

${namedUsage}

  --help  this text

Ends with 0 if every case holds and the checker finds nothing wrong, 1 if not, 2 if it could not run.
`

const cases = ['pace', 'trouble', 'asked', 'bare', 'plan'] as const
type Case = (typeof cases)[number]
type Sizes = { letters: number; payments: number; planned: number }

/** What was found of a case. It holds if nothing is in `wrong`. */
type Found = {
  /** For the table. */
  told: string
  wrong: string[]
  figures: Record<string, number | string | null | readonly number[]>
}
type Figure = Found & { case: Case }

interface Flags extends NamedFlags {
  only?: string | undefined
  letters: string
  payments: string
  planned: string
  json?: string | undefined
}

const pace = 200
const liveRate = 50
const processorMs = 20
const stopAfter = 40
const windowSeconds = 60
/** Refusals alone must not hold the destination: a dead letter each is what these runs need. */
const common = { MAX_CONCURRENT: '500', BRAKE_AFTER: '0', DOWNSTREAM_TIMEOUT: '5', LEASE: '10' }

async function run(values: Flags): Promise<number> {
  const only = readCases(values.only, cases)
  const sizes = {
    letters: readCount('letters', values.letters, 1_000),
    payments: readCount('payments', values.payments, 1_000),
    planned: readCount('planned', values.planned, 1_000),
  }
  return measureCases(readNamed(values), {
    cases: only,
    measure: (servers, name) => measureCase(servers, name, sizes),
    toLines,
    holds: ({ wrong }) => wrong.length === 0,
    json: values.json,
    given: { sizes },
  })
}

const processors: Record<Case, readonly string[]> = {
  pace: ['--status', '400'],
  trouble: ['--status', '400'],
  asked: ['--success', '1', '--lost-answers', '0.3', '--forget-after', String(windowSeconds)],
  bare: ['--success', '1', '--lost-answers', '0.3', '--forget-after', String(windowSeconds)],
  plan: ['--success', '1'],
}

async function measureCase(servers: Servers, name: Case, sizes: Sizes): Promise<Figure> {
  const parts = await startPartsOn(servers, {
    partitions: 8,
    processor: processors[name],
    keepsLedger: true,
  })
  const instances: Instance[] = []
  const client = await connect(parts)
  try {
    const { told, wrong, figures } = await act[name]({ parts, client, instances, sizes })
    await Promise.all(instances.map(({ service }) => service.stop()))
    const checked = verifyWithLedger(parts)
    // What a processor pays twice after it has forgotten a key is told by the ledger alone.
    const isAsExpected = checked.isClean || name === 'bare'
    if (!isAsExpected) process.stdout.write(checked.output)
    return {
      case: name,
      told,
      figures,
      wrong: [...wrong, ...(isAsExpected ? [] : ['the checker is not clean'])],
    }
  } finally {
    await Promise.all(instances.map(({ service }) => service.stop()))
    await client.end()
    await parts.stop()
  }
}

type Run = { parts: Parts; client: pg.Client; instances: Instance[]; sizes: Sizes }

const act: Record<Case, (run: Run) => Promise<Found>> = {
  pace: replayBesideLive,
  trouble: replayInTrouble,
  asked: (run) => payInDoubt(run, true),
  bare: (run) => payInDoubt(run, false),
  plan: planAll,
}

type Planned = { id: string; frozen: ReadonlySet<string> }

/** Dead letters, the plan of them all, and a hundred later ones that are not in it. From then on the processor accepts. */
async function planLetters({ parts, client, instances }: Run, letters: number): Promise<Planned> {
  await fill(parts, 0, null)
  for (let nth = 0; nth < 2; nth++) await join(parts, instances, common)
  await fill(parts, letters, null)
  await settled(client, letters, ...servicesOf(instances))
  const id = await plan(instances)
  const { rows } = await client.query<{ transaction_id: string }>(
    `select transaction_id from messages where status = 'dead_letter'`,
  )
  await fill(parts, lateLetters, null)
  await settled(client, letters + lateLetters, ...servicesOf(instances))
  await parts.replaceProcessor([
    '--success',
    '1',
    '--latency',
    String(processorMs),
    '--failure-status',
    '400',
  ])
  return { id, frozen: new Set(rows.map((row) => row.transaction_id)) }
}

const lateLetters = 100

async function replayBesideLive(run: Run): Promise<Found> {
  const { parts, client, instances, sizes } = run
  const { letters } = sizes
  const { id, frozen } = await planLetters(run, letters)
  const aloneSeconds = 60
  const jobSeconds = Math.ceil(letters / pace)
  const before = await ask(client, lastMessageId)
  await fill(parts, aloneSeconds * liveRate, liveRate)
  const between = await ask(client, lastMessageId)
  await start(instances, id, `perSecond: ${pace}`)
  const live = jobSeconds * liveRate
  await fill(parts, live, liveRate)
  const after = await ask(client, lastMessageId)
  await untilJob(client, instances, id, `state = 'done'`)
  await settled(
    client,
    letters + lateLetters + (aloneSeconds + jobSeconds) * liveRate,
    ...servicesOf(instances),
  )
  const alone = await readDelivery(client, before, between)
  const beside = await readDelivery(client, between, after)
  const series = secondsOf(
    (await readLedger(parts)).filter(({ transaction_id: name, effect }) => effect && frozen.has(name ?? '')),
  )
  const steady = series.slice(1, -1)
  const least = Math.min(...steady)
  const most = Math.max(...steady)
  const within = steady.filter((each) => each >= pace * 0.9 && each <= pace * 1.1).length / steady.length
  const wrong = await judgeJob(run, id, frozen)
  if (within < 1)
    wrong.push(`${((1 - within) * 100).toFixed(1)} % of the seconds are not within 10 % of the pace`)
  if (beside.p99Ms > alone.p99Ms * 1.25 + 5)
    wrong.push(`live payments took ${beside.p99Ms} ms (p99) beside the job, ${alone.p99Ms} ms without`)
  const told =
    `${letters} replayed: ${least} to ${most} requests in a second, ${(within * 100).toFixed(1)} % of ${steady.length} seconds within ${pace} ±10 %; ` +
    `live payments p50 ${alone.p50Ms} ms, p99 ${alone.p99Ms} ms without the job, p50 ${beside.p50Ms} ms, p99 ${beside.p99Ms} ms beside it`
  const figures = {
    letters,
    least,
    most,
    within,
    series,
    aloneP50Ms: alone.p50Ms,
    aloneP99Ms: alone.p99Ms,
    besideP50Ms: beside.p50Ms,
    besideP99Ms: beside.p99Ms,
  }
  return { told, wrong, figures }
}

async function replayInTrouble(run: Run): Promise<Found> {
  const { parts, client, instances, sizes } = run
  const { letters } = sizes
  const { id, frozen } = await planLetters(run, letters)
  const live = Math.ceil(letters / pace) * liveRate
  await start(instances, id, `perSecond: ${pace}, stopWhen: { failedShare: 0.5, after: ${stopAfter} }`)
  const filled = fill(parts, live, liveRate)
  await untilJob(client, instances, id, `replayed >= ${letters * 0.3}`)
  const killedAt = performance.now()
  const replayedThen = await killRunner(client, instances, id)
  await untilJob(client, instances, id, `replayed > ${replayedThen}`)
  const takenOverMs = Math.round(performance.now() - killedAt)
  await untilJob(client, instances, id, `replayed >= ${letters * 0.4}`)
  await setOutage(parts, 3_600)
  await untilJob(client, instances, id, `state = 'stopped' and not is_active`)
  await setOutage(parts, 0)
  const stopped = await jobOf(client, id)
  await request(
    instances,
    `mutation ($id: ID!) { resumeReplay(job: $id, reason: "it is back") { __typename } }`,
    { id },
  )
  await filled
  await untilJob(client, instances, id, `state = 'done'`)
  await settled(client, letters + lateLetters + live, ...servicesOf(instances))
  const wrong = await judgeJob(run, id, frozen)
  const failedAgain = Number(stopped.failed_again)
  if (failedAgain > stopAfter) wrong.push(`${failedAgain} failed before the job stopped`)
  if (stopped.stopped_because === null) wrong.push('nobody was told why it stopped')
  const told =
    `${letters} replayed; the runner was killed at 30 %, and ${takenOverMs} ms later another instance went on; ` +
    `the processor refused all from 40 % on: stopped after ${failedAgain} failures (${stopped.stopped_because ?? 'no reason'}), resumed by hand`
  return {
    told,
    wrong,
    figures: { letters, takenOverMs, failedAgain, stoppedBecause: stopped.stopped_because },
  }
}

/** That the job replayed its frozen set and nothing else, each once, and each has one effect or was refused while the processor was failing. */
async function judgeJob({ parts, client }: Run, id: string, frozen: ReadonlySet<string>): Promise<string[]> {
  const wrong: string[] = []
  const { rows } = await client.query<{ transaction_id: string; count: number }>(
    `select s.transaction_id, count(*)::int as count from message_events e join message_states s using (message_id)
     where e.type = 'replayed' and e.request_key = $1 group by 1`,
    [`replay-job:${id}`],
  )
  const others = rows.filter((row) => !frozen.has(row.transaction_id)).length
  const twice = rows.filter((row) => row.count !== 1).length
  if (rows.length !== frozen.size || others > 0 || twice > 0)
    wrong.push(
      `${rows.length} of ${frozen.size} replayed, ${others} that were not planned, ${twice} more than once`,
    )
  const ledger = await readLedger(parts)
  const effects = countEffects(ledger)
  const deadLetters = await ask(client, 'select dead_letter as value from status_counts()')
  const total = await ask(client, 'select dead_letter + success as value from status_counts()')
  if (effects.twice > 0) wrong.push(`${effects.twice} payments had two effects`)
  if (effects.paid + deadLetters !== total)
    wrong.push(`${effects.paid} effects and ${deadLetters} dead letters of ${total}`)
  if (deadLetters < lateLetters) wrong.push(`${lateLetters - deadLetters} later dead letters were replayed`)
  return wrong
}

async function payInDoubt({ parts, client, instances, sizes }: Run, asks: boolean): Promise<Found> {
  const { payments } = sizes
  const settings = {
    ...common,
    MAX_CONCURRENT_RETRIES: '50',
    BASE_DELAY: '15',
    MAX_DELAY: '60',
    KEY_WINDOW: asks ? String(windowSeconds) : '0',
    ...(asks ? { STATUS_URL: parts.downstreamUrl.replace('/process', '/payments/{idempotencyKey}') } : {}),
  }
  await fill(parts, 0, null)
  for (let nth = 0; nth < 2; nth++) await join(parts, instances, settings)
  await fill(parts, payments, 500)
  await settled(client, payments, ...servicesOf(instances))
  const { paid, twice } = countEffects(await readLedger(parts))
  const inquiries = await ask(client, `select count(*) as value from message_events where type = 'inquired'`)
  const deadLetters = await ask(client, 'select dead_letter as value from status_counts()')
  const wrong: string[] = []
  if (paid !== payments) wrong.push(`${payments - paid} were not paid`)
  if (asks && twice > 0) wrong.push(`${twice} keys had two effects`)
  if (asks && deadLetters > 0) wrong.push(`${deadLetters} dead letters`)
  if (!asks && twice === 0) wrong.push('none was paid twice, so the case shows nothing')
  const told = `${payments} payments, ${paid} paid, ${twice} effects too many, ${inquiries} inquiries, ${deadLetters} dead letters`
  return { told, wrong, figures: { payments, paid, twice, inquiries, deadLetters } }
}

async function planAll({ parts, client, instances, sizes }: Run): Promise<Found> {
  const { planned } = sizes
  await migrate({ connectionString: parts.databaseUrl })
  await generateMessages(parts.databaseUrl, { count: planned, scripts: onlyDeadLetters, days: 1 })
  await fill(parts, 0, null)
  for (let nth = 0; nth < 2; nth++) await join(parts, instances, common)
  const pid = instances[0]?.service.pid ?? 0
  const beforeMiB = readMemory(pid)
  const watched = watchBackend(parts)
  const askedAt = performance.now()
  const id = await plan(instances).catch(async (error: unknown) => {
    await watched.end()
    throw error
  })
  const planMs = Math.round(performance.now() - askedAt)
  const backendMiB = await watched.end()
  const peakMiB = readPeakMemory(pid)
  await start(instances, id, `perSecond: ${pace}`)
  await untilJob(client, instances, id, 'replayed > 0')
  const firstMs = await ask(
    client,
    `select extract(epoch from min(e.recorded_at) - j.started_at) * 1000 as value from replay_jobs j
     join message_events e on e.type = 'replayed' and e.request_key = 'replay-job:' || j.job group by j.started_at`,
  )
  await request(
    instances,
    `mutation ($id: ID!) { abortReplay(job: $id, reason: "measured") { __typename } }`,
    { id },
  )
  await untilJob(client, instances, id, `state = 'aborted' and not is_active`)
  const wrong: string[] = []
  if (planMs > 10_000) wrong.push(`the plan took ${planMs} ms`)
  if (firstMs > 1_000) wrong.push(`the first replay came ${Math.round(firstMs)} ms after the start`)
  const told =
    `${planned} dead letters planned in ${(planMs / 1_000).toFixed(1)} s; service ${beforeMiB} MiB before, ${peakMiB} MiB at most; ` +
    `PostgreSQL's backend ${backendMiB} MiB of its own at most; first replay ${Math.round(firstMs)} ms after the start`
  return {
    told,
    wrong,
    figures: { planned, planMs, beforeMiB, peakMiB, backendMiB, firstMs: Math.round(firstMs) },
  }
}

/** Reads how much memory of its own (without shared buffers) the backend that plans has, until told to end. Of a server elsewhere: 0. */
function watchBackend(parts: Parts): { end: () => Promise<number> } {
  const over = new AbortController()
  const watching = (async () => {
    const client = await connect(parts)
    let most = 0
    try {
      while (!over.signal.aborted) {
        const { rows } = await client.query<{ pid: number }>(
          `select pid from pg_stat_activity where datname = current_database() and query like '%freeze_ids%' and pid <> pg_backend_pid()`,
        )
        for (const { pid } of rows) most = Math.max(most, ownMemory(pid))
        await sleep(100)
      }
    } finally {
      await client.end()
    }
    return most
  })()
  return {
    end() {
      over.abort()
      return watching
    },
  }
}

/** Anonymous memory of a process, in MiB. */
function ownMemory(pid: number): number {
  try {
    return Math.round(
      Number(/^RssAnon:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? 0) / 1024,
    )
  } catch {
    return 0
  }
}

const servicesOf = (instances: readonly Instance[]) => instances.map(({ service }) => service)

async function plan(instances: readonly Instance[]): Promise<string> {
  const answer = await request<{ planReplay: { id?: string; text?: string } }>(
    instances,
    `mutation { planReplay(filter: {}, reason: "the processor is back") { ... on ReplayPlan { id } ... on PlanRefused { text } } }`,
  )
  if (answer.planReplay.id === undefined) throw new Error(`no plan: ${answer.planReplay.text ?? ''}`)
  return answer.planReplay.id
}

async function start(instances: readonly Instance[], id: string, more: string): Promise<void> {
  const answer = await request<{ startReplay: { id?: string } }>(
    instances,
    `mutation ($id: ID!) { startReplay(plan: $id, ${more}) { ... on ReplayJob { id } } }`,
    { id },
  )
  if (answer.startReplay.id !== id) throw new Error(`job ${id} was not started`)
}

async function request<Data>(
  instances: readonly Instance[],
  query: string,
  variables: object = {},
): Promise<Data> {
  const response = await fetch(`${instances[0]?.service.url ?? ''}/graphql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const answer = (await response.json()) as { data?: Data | null; errors?: unknown }
  if (answer.data == null) throw new Error(JSON.stringify(answer.errors))
  return answer.data
}

type JobState = { replayed: string; failed_again: string; stopped_because: string | null; runner: string }

async function jobOf(client: pg.Client, id: string): Promise<JobState> {
  const { rows } = await client.query<JobState>(
    'select replayed, failed_again, stopped_because, runner from replay_job_states where job = $1',
    [id],
  )
  if (rows[0] === undefined) throw new Error(`there is no job ${id}`)
  return rows[0]
}

async function untilJob(
  client: pg.Client,
  instances: readonly Instance[],
  id: string,
  condition: string,
): Promise<void> {
  const query = `select count(*) as value from replay_job_states where job = ${id} and ${condition}`
  while ((await ask(client, query)) === 0) {
    for (const service of servicesOf(instances)) service.insistOnLife()
    await sleep(50)
  }
}

/** Returns how many had been replayed by then. */
async function killRunner(client: pg.Client, instances: Instance[], id: string): Promise<number> {
  const { runner } = await jobOf(client, id)
  const killed = instances.find(({ name }) => runner.startsWith(name))
  if (killed === undefined) throw new Error('no instance runs the job')
  await killed.service.kill()
  instances.splice(instances.indexOf(killed), 1)
  return Number((await jobOf(client, id)).replayed)
}

/** How many requests came in each second by the processor's clock, from the first to the last. */
function secondsOf(entries: readonly Entry[]): number[] {
  const seconds = entries.map(({ at }) => Math.floor(Date.parse(at) / 1_000))
  const [first, last] = [Math.min(...seconds), Math.max(...seconds)]
  const series = Array.from({ length: last - first + 1 }, () => 0)
  for (const second of seconds) series[second - first] = (series[second - first] ?? 0) + 1
  return series
}

function toLines({ case: name, told, wrong, figures }: Figure): string {
  const series = Array.isArray(figures.series) ? `  by second: ${figures.series.join(' ')}\n` : ''
  return `${name.padEnd(10)}${told}\n${series}  ${wrong.length === 0 ? 'holds' : `DOES NOT HOLD: ${wrong.join('; ')}`}\n`
}

process.exitCode = await runCommand({
  usage,
  options: {
    only: { type: 'string' },
    letters: { type: 'string', default: '20000' },
    payments: { type: 'string', default: '20000' },
    planned: { type: 'string', default: '1000000' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
