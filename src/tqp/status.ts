import { exitCodes } from '../commands/run-command.ts'
import { ask, OutOfReach } from './ask.ts'
import { group, printJson, printLines, shortTime } from './print.ts'
import { ending, subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp status [--json]

Prints how the service is doing: whether payments flow, how many messages wait and for how long, the last minute,
which instances live, whether Kafka answers, and each partition.

${ending}`

const kafkaField = `kafka {
      connected since reason lastFetchAt lastHeartbeatAt assigned
      waiting { partition reason }
      members { instance partitions }
      unread { topic partition lag }
    }`

const query = `{
  destinations { name state since actor reason until nextProbeAt held rateLimit throttledRate notBefore }
  metrics {
    at
    counts { pending processing success failed deadLetter total }
    deadLetters { open resolved }
    held
    outcomeUnknown { open deadLetter success }
    oldestDueAt
    throughput(lastSeconds: 60) { received attempts succeeded failed deadLettered rejected conflicts }
    consumer { topic partition nextOffset lag unreadLag stopped }
    instances { name release startedAt state lastHeartbeatAt answers partitions }
    ${kafkaField}
  }
}`

type Data = {
  readonly destinations: readonly Destination[]
  readonly metrics: {
    readonly at: string
    readonly counts: Record<'pending' | 'processing' | 'success' | 'failed' | 'deadLetter' | 'total', string>
    readonly deadLetters: { readonly open: string; readonly resolved: string }
    readonly held: string
    readonly outcomeUnknown: { readonly open: string; readonly deadLetter: string }
    readonly oldestDueAt: string | null
    readonly throughput: readonly Record<Counted, string>[]
    readonly consumer: readonly {
      readonly topic: string
      readonly partition: number
      readonly nextOffset: string
      readonly lag: string | null
      readonly unreadLag: string | null
      readonly stopped: string | null
    }[]
    readonly instances: readonly Instance[]
    readonly kafka: Kafka
  } | null
}

type Instance = {
  readonly name: string
  readonly release: string | null
  readonly startedAt: string | null
  readonly state: string
  readonly lastHeartbeatAt: string | null
  readonly answers: boolean
  readonly partitions: readonly number[] | null
}

type Kafka = {
  readonly connected: boolean
  readonly since: string
  readonly reason: string | null
  readonly lastFetchAt: string | null
  readonly lastHeartbeatAt: string | null
  readonly assigned: readonly number[]
  readonly waiting: readonly { readonly partition: number; readonly reason: string }[]
  readonly members: readonly { readonly instance: string; readonly partitions: readonly number[] }[] | null
  readonly unread:
    readonly { readonly topic: string; readonly partition: number; readonly lag: string | null }[] | null
}

export type Destination = {
  readonly name: string
  readonly state: string
  readonly since: string
  readonly actor: string | null
  readonly reason: string | null
  readonly until: string | null
  readonly nextProbeAt: string | null
  readonly held: string
  readonly rateLimit: number | null
  readonly throttledRate: number | null
  readonly notBefore: string | null
}

const happened = ['received', 'attempts', 'succeeded', 'failed', 'deadLettered'] as const
// Records that became dead letters without an attempt.
const setAside = ['rejected', 'conflicts'] as const
type Counted = (typeof happened)[number] | (typeof setAside)[number]

export const status = subcommand('status', 'how the service is doing', {
  usage,
  options: { json: { type: 'boolean', default: false } },
  run: async ({ json }) => {
    try {
      const data = await ask<Data>(query)
      if (json) printJson(data)
      else printLines(describe(data))
      return exitCodes.done
    } catch (error) {
      if (error instanceof OutOfReach && error.code === 'DATABASE_UNAVAILABLE') await tellKafka(json)
      throw error
    }
  },
})

/** What the service knows without the database. */
async function tellKafka(json: boolean): Promise<void> {
  const data = await ask<{ metrics: { kafka: Kafka } }>(`{ metrics { ${kafkaField} } }`)
  if (json) printJson(data)
  else printLines(describeKafka({ ...data.metrics, consumer: [] }))
}

function describe({ destinations, metrics }: Data): string[] {
  const lines = destinations.flatMap(describeDestination)
  if (metrics === null) return [...lines, 'The database does not answer: no counts.']
  const { at, counts, deadLetters, held, outcomeUnknown, oldestDueAt, throughput } = metrics
  lines.push(
    `messages     ${group(counts.pending)} pending, ${group(counts.processing)} processing, ${group(counts.failed)} failed, ` +
      `${group(counts.success)} success, ${group(counts.deadLetter)} dead letters`,
    `dead letters ${group(deadLetters.open)} open, ${group(deadLetters.resolved)} resolved`,
  )
  if (held !== '0') lines.push(`on hold      ${group(held)} messages wait until an operator releases them`)
  const doubts = BigInt(outcomeUnknown.open) + BigInt(outcomeUnknown.deadLetter)
  if (doubts > 0n)
    lines.push(
      `in doubt     ${group(String(doubts))} messages may have been carried out: the outcome of an attempt is unknown (resolved ones are among them)`,
    )
  const sumOf = (name: Counted): bigint =>
    throughput.reduce((total, bucket) => total + BigInt(bucket[name]), 0n)
  const minute = happened.map(
    (name) => `${group(String(sumOf(name)))} ${name === 'deadLettered' ? 'given up' : name}`,
  )
  const aside = setAside.reduce((total, name) => total + sumOf(name), 0n)
  if (aside > 0n) minute.push(`${group(String(aside))} rejected or conflicting records`)
  lines.push(`last minute  ${minute.join(', ')}`)
  lines.push(
    oldestDueAt === null
      ? 'waiting      nothing is due'
      : `waiting      the oldest is due for ${Math.max(0, (Date.parse(at) - Date.parse(oldestDueAt)) / 1_000).toFixed(1)} s`,
  )
  return [...lines, ...metrics.instances.map(describeInstance), ...describeKafka(metrics)]
}

function describeInstance(instance: Instance): string {
  const { name, release, startedAt, state, lastHeartbeatAt, answers, partitions } = instance
  const parts = [
    `${state.toLowerCase()}, since ${shortTime(startedAt) ?? 'an unknown time'}`,
    `release ${release ?? 'not known'}`,
    lastHeartbeatAt === null ? 'never heard' : `last heard ${shortTime(lastHeartbeatAt)}`,
    ...(partitions === null
      ? []
      : [`partitions ${partitions.length === 0 ? 'none' : partitions.join(', ')}`]),
    ...(answers ? ['answers this'] : []),
  ]
  return `instance     ${name} ${parts.join(', ')}`
}

/** How the instance that answers stands with Kafka, and who reads what, as far as it knows. */
function describeKafka({
  kafka,
  consumer,
}: Pick<NonNullable<Data['metrics']>, 'kafka' | 'consumer'>): string[] {
  const { connected, since, reason, lastFetchAt, lastHeartbeatAt, assigned, waiting, members, unread } = kafka
  const lines = [
    `kafka        ${connected ? 'connected' : 'NOT connected'} since ${shortTime(since)}${reason === null ? '' : `: ${reason}`}`,
    `             last fetch ${shortTime(lastFetchAt) ?? 'none'}, last heartbeat ${shortTime(lastHeartbeatAt) ?? 'none'}, ` +
      (assigned.length === 0
        ? 'this instance holds no partition'
        : `this instance holds ${assigned.join(', ')}`),
    ...waiting.map((each) => `             partition ${each.partition} waits: ${each.reason}`),
  ]
  const nameOf = (each: { topic: string; partition: number }) => `${each.topic}/${each.partition}`
  const lags = new Map((unread ?? []).map((each) => [nameOf(each), each.lag]))
  for (const each of consumer) {
    const name = nameOf(each)
    if (lags.has(name)) continue
    const reader = members?.find(({ partitions }) => partitions.includes(each.partition))?.instance
    const lag = connected ? each.lag : null
    const rest =
      each.stopped !== null
        ? `STOPPED: ${each.stopped}`
        : lag !== null
          ? `lag ${group(lag)}`
          : reader === undefined
            ? 'who reads it is not known'
            : `read by ${reader}`
    const waits = each.unreadLag === null ? '' : ` (${group(each.unreadLag)} records wait)`
    lines.push(`partition    ${name}: next offset ${each.nextOffset}, ${rest}${waits}`)
  }
  for (const [name, lag] of lags)
    lines.push(
      `partition    ${name}: read by NOBODY, ${lag === null ? 'lag not known' : `lag ${group(lag)}`}`,
    )
  return lines
}

/** How a destination stands, in lines. */
export function describeDestination(destination: Destination): string[] {
  const { name, state, since, actor, reason, until, nextProbeAt, held, rateLimit, throttledRate, notBefore } =
    destination
  const by = actor === null ? '' : `, by ${actor}: ${reason}`
  const lines = [`destination  ${name} is ${state.toLowerCase()} since ${shortTime(since)}${by}`]
  if (until !== null) lines.push(`             the pause ends at ${shortTime(until)}`)
  if (nextProbeAt !== null) lines.push(`             the next probe may start at ${shortTime(nextProbeAt)}`)
  if (held !== '0') lines.push(`             ${group(held)} messages wait for it`)
  if (rateLimit !== null) lines.push(`             at most ${rateLimit} attempts a second start`)
  if (throttledRate !== null) {
    const wait = notBefore === null ? '' : `, and none before ${shortTime(notBefore)}`
    lines.push(
      `             the processor asked for less: ${throttledRate.toFixed(1)} attempts a second${wait}`,
    )
  }
  return lines
}
