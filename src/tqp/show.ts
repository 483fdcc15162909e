import { exitCodes } from '../commands/run-command.ts'
import { ask, Refused } from './ask.ts'
import { conflictFields, listConflicts, type Conflicts } from './conflicts.ts'
import { describeStatus, type Standing } from './describe-status.ts'
import { printJson, printLines, printTable, shortTime } from './print.ts'
import { ending, readOne, subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp show ID [--json]

Prints one transaction: how it stands, where it came from, and each event of its life. Its payload and the key of its record are not shown.

${ending}`

const pageMax = 1_000

const query = `query ($id: ID!, $afterVersion: Int!) {
  message(transactionId: $id) {
    transactionId status held resolution deadLetterCause attempts retryCount version nextDueAt createdAt updatedAt outcomeUnknown
    reference errorMessage idempotencyKey replayable
    source { topic partition offset timestamp }
    payload { state bytes sha256 }
    conflictsWith { transactionId }
    ${conflictFields}
    history(afterVersion: $afterVersion, first: ${pageMax}) {
      version type recordedAt actor attempt outcome statusCode durationMs reason resolution evidence inquiry confirmedNotCarriedOut
      reference destination { name url } nextDueAt status
    }
  }
}`

type Shown = Standing &
  Conflicts & {
    readonly transactionId: string
    readonly deadLetterCause: string | null
    readonly nextDueAt: string | null
    readonly reference: string | null
    readonly errorMessage: string | null
    readonly idempotencyKey: string
    readonly replayable: boolean
    readonly source: { readonly topic: string; readonly partition: number; readonly offset: string } | null
    readonly payload: {
      readonly state: string
      readonly bytes: number | null
      readonly sha256: string | null
    } | null
    readonly conflictsWith: { readonly transactionId: string } | null
    readonly history: readonly Event[] | null
  }

type Event = {
  readonly version: number
  readonly type: string
  readonly recordedAt: string
  readonly actor: string
  readonly attempt: number | null
  readonly outcome: string | null
  readonly statusCode: number | null
  readonly durationMs: number | null
  readonly reason: string | null
  readonly resolution: string | null
  readonly evidence: string | null
  readonly inquiry: string | null
  readonly confirmedNotCarriedOut: boolean | null
  readonly reference: string | null
  readonly destination: { readonly name: string; readonly url: string | null } | null
}

export const show = subcommand('show', 'one transaction and its whole life', {
  usage,
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
  run: async ({ json }, words) => {
    const id = readOne('transaction id', words)
    const message = await read(id)
    if (json) printJson({ message })
    if (message === null) throw new Refused(`There is no transaction ${JSON.stringify(id)}.`)
    if (!json) print(message)
    return exitCodes.done
  },
})

/** With its whole history, page by page: a message that Kafka delivers again and again has many events. */
async function read(id: string): Promise<Shown | null> {
  const history: Event[] = []
  for (;;) {
    const { message } = await ask<{ message: Shown | null }>(query, {
      id,
      afterVersion: history.at(-1)?.version ?? 0,
    })
    if (message === null) return null
    history.push(...(message.history ?? []))
    if ((message.history ?? []).length < pageMax) return { ...message, history }
  }
}

function print(message: Shown): void {
  const { source, payload, conflictsWith } = message
  const cause = message.deadLetterCause === null ? '' : ` (${message.deadLetterCause.toLowerCase()})`
  const lines = [
    `transaction  ${message.transactionId}`,
    `status       ${describeStatus(message)}${cause}${message.replayable ? ', can be replayed' : ''}`,
  ]
  if (message.nextDueAt !== null) lines.push(`next attempt ${shortTime(message.nextDueAt)} at the earliest`)
  if (message.errorMessage !== null) lines.push(`last error   ${message.errorMessage}`)
  if (source !== null)
    lines.push(`record       ${source.topic}/${source.partition} at offset ${source.offset}`)
  if (payload !== null)
    lines.push(
      `payload      ${payload.state.toLowerCase()}, ${payload.bytes ?? 0} bytes, SHA-256 ${payload.sha256 ?? 'none'}`,
    )
  lines.push(`key          ${message.idempotencyKey}`)
  for (const url of urlsOf(message)) lines.push(`sent to      ${url}`)
  if (message.reference !== null) lines.push(`reference    ${message.reference}, as the processor calls it`)
  if (conflictsWith !== null)
    lines.push(`conflicts    with ${conflictsWith.transactionId}, which had the id first`)
  const came = listConflicts(message)
  if (came !== null) lines.push(`conflicts    ${came}`)
  printLines([...lines, ''])
  printTable<Event>(
    {
      '#': (event) => event.version,
      time: (event) => shortTime(event.recordedAt),
      event: (event) => event.type.toLowerCase(),
      attempt: (event) => event.attempt,
      outcome: describeOutcome,
      ms: (event) => event.durationMs,
      by: (event) => event.actor,
      reason: (event) =>
        [
          event.reason,
          event.evidence,
          event.reference === null ? '' : `reference ${event.reference}`,
          event.confirmedNotCarriedOut === true ? 'confirmed: not carried out' : '',
        ]
          .filter(Boolean)
          .join(' / '),
    },
    message.history ?? [],
  )
}

/** Where its attempts were sent, each place once. */
function urlsOf({ history }: Shown): Set<string> {
  return new Set((history ?? []).flatMap(({ destination }) => destination?.url ?? []))
}

function describeOutcome({ outcome, statusCode, resolution, inquiry }: Event): string | null {
  const words = [outcome, resolution, inquiry]
    .filter((word) => word !== null)
    .map((word) => word.toLowerCase())
  if (statusCode !== null) words.push(String(statusCode))
  return words.join(' ')
}
