import { setTimeout as sleep } from 'node:timers/promises'
import type pg from 'pg'
import { readCount, runCommand } from '../src/commands/run-command.ts'
import { measureCases, readCases } from './cases.ts'
import {
  connect,
  countEffects,
  fill,
  join,
  readLedger,
  setOutage,
  settled,
  verifyWithLedger,
  type Instance,
} from './line.ts'
import { ask } from './measure.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startPartsOn,
  type NamedFlags,
  type Parts,
  type Servers,
} from './parts.ts'

const usage = `Usage: npm run bench:night -- [--only CASE,…] [--payments N] [--json F] [--stock]

Bad nights of a processor, with two instances, and what of them reaches it. The cases follow each other on the same servers, each on a
database and a topic of its own. The processor takes 100 ms for an answer and keeps a ledger of all requests.

  outage           it answers 503 for three times the whole schedule of retries (BASE_DELAY=1 MAX_DELAY=16)
  outage-kill      the same, and the instance that probes is killed (kill -9) while its probe is open
  outage-restart   the same, and PostgreSQL is restarted while the destination is held; with --stock only
  outage-join      the same, and a third instance is started while the destination is held
  denied           it answers 401 for a minute
  denied-kill      the same, and the instance that probes is killed
  mixed            it answers 422 to one payment in twenty
  mixed-kill       the same, and an instance is killed half way
  refused          it answers 422 to all for half a minute
  refused-kill     the same, and the instance that probes is killed
  pause            2,000 payments a second come; the destination is paused for 20 s, and resumed

  --only CASE,…  the cases (default all)
  --payments N   of each case but pause (default 10000)
  --json F       writes the figures to F too

${namedUsage}

Of each case but mixed: requests that failed, against the bound: two instances' open attempts, the failures or refusals that hold, and the
probes. Every payment must have one effect by the ledger, or be a dead letter that was refused.

  --help  this text

Ends with 0 if every case holds and the checker finds nothing wrong, 1 if not, 2 if it could not run.
`

const holdAfter = 20
const brakeAfter = 50
const schedule = {
  BASE_DELAY: '1',
  MAX_DELAY: '16',
  MAX_CONCURRENT: '50',
  MAX_CONCURRENT_RETRIES: '5',
  DOWNSTREAM_TIMEOUT: '5',
  LEASE: '10',
  HOLD_AFTER: String(holdAfter),
  BRAKE_AFTER: String(brakeAfter),
}
/** What two instances can have open at once. */
const openMax = 2 * (50 + 5)
/** Retries after 1, 2, 4, 8 and 16 s, each up to 20 % later. */
const scheduleSeconds = 31 * 1.2
const latencyMs = 100
const pausedSeconds = 20

type Trouble = 'none' | 'kill' | 'restart' | 'join'
type Night = {
  trouble: Trouble
  /** For how long every request fails. */
  seconds: number
  processor: readonly string[]
  /** What failures that hold it are; null if nothing should. */
  holdsAfter: number | null
  /** Whether what fails is refused, and a dead letter at once. */
  refuses: boolean
}
const outage = {
  seconds: 3 * scheduleSeconds,
  processor: ['--success', '1'],
  holdsAfter: holdAfter,
  refuses: false,
}
const denied = { ...outage, seconds: 60, processor: ['--success', '1', '--failure-status', '401'] }
const mixed = {
  seconds: 0,
  processor: ['--success', '0.95', '--failure-status', '422'],
  holdsAfter: null,
  refuses: true,
}
const refused = {
  seconds: 30,
  processor: ['--success', '1', '--failure-status', '422'],
  holdsAfter: brakeAfter,
  refuses: true,
}

const nights: Record<string, Night> = {
  outage: { ...outage, trouble: 'none' },
  'outage-kill': { ...outage, trouble: 'kill' },
  'outage-restart': { ...outage, trouble: 'restart' },
  'outage-join': { ...outage, trouble: 'join' },
  denied: { ...denied, trouble: 'none' },
  'denied-kill': { ...denied, trouble: 'kill' },
  mixed: { ...mixed, trouble: 'none' },
  'mixed-kill': { ...mixed, trouble: 'kill' },
  refused: { ...refused, trouble: 'none' },
  'refused-kill': { ...refused, trouble: 'kill' },
}
const cases: readonly string[] = [...Object.keys(nights), 'pause']

/** What was found of a case. It holds if nothing is in `wrong`. */
type Found = {
  /** For the table. */
  told: string
  wrong: string[]
  figures: Record<string, number | null>
}
type Figure = Found & { case: string; trouble: string | null }

interface Flags extends NamedFlags {
  only?: string | undefined
  payments: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const payments = readCount('payments', values.payments, 1_000)
  return measureCases(readNamed(values), {
    cases: chooseCases(values),
    measure: (servers, name) => measureCase(servers, name, payments),
    toLines,
    holds: ({ wrong }) => wrong.length === 0,
    json: values.json,
    given: { payments },
  })
}

/** Only a PostgreSQL of --stock can be restarted. */
function chooseCases({ only, stock }: Flags): readonly string[] {
  if (only === undefined) return cases.filter((name) => name !== 'outage-restart' || stock)
  const chosen = readCases(only, cases)
  if (chosen.includes('outage-restart') && !stock) throw new Error('outage-restart goes with --stock.')
  return chosen
}

async function measureCase(servers: Servers, name: string, payments: number): Promise<Figure> {
  const night = nights[name]
  const parts = await startPartsOn(servers, {
    partitions: 8,
    processor: [
      ...(night?.processor ?? ['--success', '1']),
      '--latency',
      String(night === undefined ? 0 : latencyMs),
    ],
    keepsLedger: true,
  })
  const instances: Instance[] = []
  try {
    const measured =
      night === undefined
        ? { ...(await pauseUnderLoad(parts, instances)), trouble: null }
        : await liveThrough(parts, servers, night, payments, instances)
    await Promise.all(instances.map(({ service }) => service.stop()))
    const checked = verifyWithLedger(parts)
    if (!checked.isClean) process.stdout.write(checked.output)
    return {
      case: name,
      ...measured,
      wrong: [...measured.wrong, ...(checked.isClean ? [] : ['the checker is not clean'])],
    }
  } finally {
    await Promise.all(instances.map(({ service }) => service.stop()))
    await parts.stop()
  }
}

async function liveThrough(
  parts: Parts,
  servers: Servers,
  night: Night,
  payments: number,
  instances: Instance[],
): Promise<Found & { trouble: string | null }> {
  await fill(parts, 0, null)
  for (let nth = 0; nth < 2; nth++) await join(parts, instances, schedule)
  const early = Math.round(payments / 10)
  await fill(parts, early, 500)
  const failed: Promise<void> = fill(parts, payments - early, 500)
  if (night.seconds > 0) await setOutage(parts, night.seconds)
  const endsAt = performance.now() + night.seconds * 1_000
  const trouble = await makeTrouble(parts, servers, night, instances)
  await failed
  if (night.seconds > 0) {
    if (performance.now() > endsAt - 2_000) throw new Error('the trouble took longer than the outage')
    await sleep(endsAt - performance.now())
  }
  const client = await connect(parts)
  try {
    await settled(client, payments, ...instances.map(({ service }) => service))
    const recoveredMs = night.seconds > 0 ? Math.round(performance.now() - endsAt) : null
    const { told, wrong, figures } = await judge(parts, client, night, payments)
    const recovered =
      recoveredMs === null ? '' : `, all done ${(recoveredMs / 1_000).toFixed(1)} s after its end`
    return { told: told + recovered, wrong, figures: { ...figures, recoveredMs }, trouble }
  } finally {
    await client.end()
  }
}

/** Does to the line what the night says, while the destination is held if it will be. Returns what was done. */
async function makeTrouble(
  parts: Parts,
  servers: Servers,
  night: Night,
  instances: Instance[],
): Promise<string | null> {
  const client = await connect(parts)
  // PostgreSQL's restart ends it.
  client.on('error', () => undefined)
  try {
    if (night.holdsAfter !== null) await untilState(client, 'held')
    switch (night.trouble) {
      case 'none':
        return null
      case 'kill': {
        const killed = night.holdsAfter === null ? instances[0] : await prober(client, instances)
        if (killed === undefined) throw new Error('no instance probes')
        await killed.service.kill()
        instances.splice(instances.indexOf(killed), 1)
        return night.holdsAfter === null ? 'an instance was killed' : 'the instance that probed was killed'
      }
      case 'restart':
        await sleep(5_000)
        await servers.restartPostgres?.()
        return 'PostgreSQL was restarted'
      case 'join':
        await sleep(5_000)
        await join(parts, instances, schedule)
        return 'a third instance was started'
    }
  } finally {
    await client.end().catch(() => undefined)
  }
}

async function untilState(client: pg.Client, state: string): Promise<void> {
  const query = `select count(*) as value from destinations where state = '${state}'`
  while ((await ask(client, query)) === 0) await sleep(20)
}

/** The instance whose probe is open now. */
async function prober(client: pg.Client, instances: readonly Instance[]): Promise<Instance> {
  for (;;) {
    const { rows } = await client.query<{ holder: string }>(
      `select s.claimed_by as holder from destinations d join message_states s on s.message_id = d.probe_message_id
       where s.status = 'processing' and s.attempts = d.probe_attempt`,
    )
    const found = instances.find(({ name }) => rows[0]?.holder.startsWith(`${name}/`))
    if (found !== undefined) return found
    await sleep(5)
  }
}

async function judge(parts: Parts, client: pg.Client, night: Night, payments: number): Promise<Found> {
  const ledger = await readLedger(parts)
  const failed = ledger.filter(({ status }) => status !== 200).length
  const probes = await ask(client, probesStarted)
  const holds = await ask(client, `select count(*) as value from destination_decisions where state = 'held'`)
  const deadLetters = await ask(client, 'select dead_letter as value from status_counts()')
  const bound = night.holdsAfter === null ? null : openMax + night.holdsAfter + probes
  const { paid, twice } = countEffects(ledger)
  const wrong: string[] = []
  if (bound !== null && failed > bound) wrong.push(`${failed} requests failed, and the bound is ${bound}`)
  if (twice > 0) wrong.push(`${twice} payments had two effects`)
  if (paid + deadLetters !== payments)
    wrong.push(`${paid} effects and ${deadLetters} dead letters of ${payments} payments`)
  if (!night.refuses && deadLetters > 0) wrong.push(`${deadLetters} dead letters`)
  // What the killed instance had open was abandoned, whatever the answer was.
  if (night.refuses && (night.trouble === 'none' ? deadLetters !== failed : deadLetters > failed))
    wrong.push(`${deadLetters} dead letters of ${failed} refused requests`)
  if (night.holdsAfter === null && holds > 0) wrong.push(`held ${holds} times`)
  const told =
    `${payments} payments, ${deadLetters} dead letters, ${paid} effects, ${ledger.length} requests, ${failed} failed ` +
    (bound === null ? '' : `(bound ${openMax} + ${night.holdsAfter ?? 0} + ${probes} probes = ${bound}) `) +
    `held ${holds} times`
  const figures = {
    payments,
    deadLetters,
    paid,
    twice,
    requests: ledger.length,
    failed,
    probes,
    bound,
    holds,
  }
  return { told, wrong, figures }
}

/** Attempts that were started while the destination was held. */
const probesStarted = `
  with d as (
    select state, position, lead(position, 1, 9223372036854775807) over (order by decision) as next from destination_decisions
  )
  select count(*) as value from message_events e
  where e.type = 'attempt_started'
    and exists (select from d where d.state = 'held' and e.position > d.position and e.position < d.next)`

/** 2,000 a second come; the destination is paused and resumed as `npm run destination` does it. */
async function pauseUnderLoad(parts: Parts, instances: Instance[]): Promise<Found> {
  const rate = 2_000
  const payments = rate * (10 + pausedSeconds + 5)
  await fill(parts, 0, null)
  const settings = { ...schedule, MAX_CONCURRENT: '500' }
  for (let nth = 0; nth < 2; nth++) await join(parts, instances, settings)
  const client = await connect(parts)
  try {
    const filled = fill(parts, payments, rate)
    await sleep(10_000)
    const storedBefore = await ask(client, stored)
    const pausedAt = Date.now()
    await client.query(`select from pause_destination('default', 'bench', 'the line is measured')`)
    await sleep(pausedSeconds * 500)
    const lag = await readLag(instances)
    await sleep(pausedSeconds * 500)
    const storedAfter = await ask(client, stored)
    const waiting = await ask(client, 'select pending as value from status_counts()')
    const resumedAt = Date.now()
    await client.query(`select from resume_destination('default', 'bench', 'it was measured')`)
    await filled
    await settled(client, payments, ...instances.map(({ service }) => service))
    const ledger = await readLedger(parts)
    const times = ledger.map(({ at }) => Date.parse(at))
    const lastMs = Math.max(...times.filter((at) => at < (pausedAt + resumedAt) / 2)) - pausedAt
    const during = times.filter((at) => at > pausedAt + 1_000 && at < resumedAt).length
    const firstMs =
      Math.min(...times.filter((at) => at > resumedAt - 1_000 && at > pausedAt + 1_000)) - resumedAt
    const storedASecond = Math.round((storedAfter - storedBefore) / pausedSeconds)
    const { paid, twice } = countEffects(ledger)
    const wrong: string[] = []
    if (lastMs > 1_000 || during > 0) wrong.push(`${during} requests later than a second after the pause`)
    if (firstMs > 1_000) wrong.push(`the first request ${firstMs} ms after the resume`)
    if (storedASecond < rate * 0.9) wrong.push(`${storedASecond} stored a second while paused`)
    if (paid !== payments || twice > 0) wrong.push(`${paid} of ${payments} paid, ${twice} twice`)
    const told =
      `${payments} payments: the last request ${lastMs} ms after the pause, the first ${firstMs} ms after the resume; ` +
      `meanwhile ${storedASecond} stored a second, lag ${lag} records, ${waiting} waited at the end`
    return { told, wrong, figures: { payments, lastMs, firstMs, storedASecond, lag, waiting, paid, twice } }
  } finally {
    await client.end()
  }
}

const stored = 'select pending + processing + success + failed + dead_letter as value from status_counts()'

/** Records that were not stored yet, over all instances. */
async function readLag(instances: readonly Instance[]): Promise<number> {
  const texts = await Promise.all(
    instances.map(async ({ service }) => {
      const response = await fetch(`${service.url}/metrics`, { headers: { accept: 'text/plain' } })
      return response.text()
    }),
  )
  const lags = texts.flatMap((text) =>
    [...text.matchAll(/^tqp_consumer_lag\{.*\} (\d+)$/gm)].map(([, n]) => Number(n)),
  )
  return lags.reduce((sum, each) => sum + each, 0)
}

function toLines({ case: name, told, wrong, trouble }: Figure): string {
  const verdict = wrong.length === 0 ? 'holds, checker clean' : `DOES NOT HOLD: ${wrong.join('; ')}`
  return `${name.padEnd(16)}${told}\n  ${trouble === null ? '' : `${trouble}; `}${verdict}\n`
}

process.exitCode = await runCommand({
  usage,
  options: {
    only: { type: 'string' },
    payments: { type: 'string', default: '10000' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
