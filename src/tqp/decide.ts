import { exitCodes, FlagFault } from '../commands/run-command.ts'
import { evidenceBytesMax, requestKeyBytesMax, requireLine } from '../config/read-author.ts'
import { commandLine } from '../runtime/shell-words.ts'
import { ask, change, Refused } from './ask.ts'
import { conflictFields, listKept, type Conflicts } from './conflicts.ts'
import { describeStatus, type Standing } from './describe-status.ts'
import { enumName } from './filter.ts'
import { printCommand, printJson, printLines } from './print.ts'
import { ending, readReason, subcommand, type Subcommand } from './subcommand.ts'

/** What an operator can decide about single transactions. */
type Decision = {
  readonly name: 'replay' | 'hold' | 'release' | 'cancel' | 'resolve' | 'reopen' | 'expunge'
  readonly summary: string
  /** What it does, in sentences. */
  readonly text: string
  /** What is asked beside the reason, as GraphQL has it. */
  readonly asks?: readonly {
    readonly flag: string
    readonly argument: string
    readonly type: string
    readonly text: string
    /** Of a text that the log keeps. */
    readonly bytesMax?: number
  }[]
  /** The result's types: what is done, and the refusals' interface. */
  readonly done: string
  readonly refusal: string
}

const decided = { done: 'Decided', refusal: 'DecisionRefusal' } as const

const decisions: readonly Decision[] = [
  {
    name: 'replay',
    summary: 'open dead letters again',
    text: 'Opens dead letters again: they are sent as if they were new.',
    asks: [
      {
        flag: 'key',
        argument: 'idempotencyKey',
        type: 'String',
        text: 'a name for this request: a second request with the same name and reason changes nothing',
        bytesMax: requestKeyBytesMax,
      },
      {
        flag: 'confirm-not-carried-out',
        argument: 'confirmNotCarriedOut',
        type: 'Boolean',
        text: 'you confirm that they were not carried out: needed if the processor may have forgotten the key',
      },
    ],
    done: 'Replayed',
    refusal: 'ReplayRefusal',
  },
  {
    name: 'hold',
    summary: 'keep transactions from being sent',
    text: 'Keeps transactions that are pending or failed from being sent until they are released.',
    ...decided,
  },
  {
    name: 'release',
    summary: 'end a hold',
    text: 'Ends a hold: the transactions are sent again.',
    ...decided,
  },
  {
    name: 'cancel',
    summary: 'give transactions up without sending them',
    text: 'Makes dead letters of transactions that are pending or failed. They are not sent again, unless they are replayed.',
    ...decided,
  },
  {
    name: 'resolve',
    summary: 'close dead letters by hand',
    text: 'Closes dead letters of any cause: says what became of the payments.',
    asks: [
      {
        flag: 'as',
        argument: 'as',
        type: 'Resolution!',
        text: 'carried-out, not-carried-out, duplicate or ignored',
      },
      {
        flag: 'evidence',
        argument: 'evidence',
        type: 'String',
        text: 'what proves it, such as the number of a statement or a ticket',
        bytesMax: evidenceBytesMax,
      },
    ],
    ...decided,
  },
  {
    name: 'reopen',
    summary: 'open resolved dead letters again',
    text: 'Opens resolved dead letters again. Only then can they be replayed.',
    ...decided,
  },
  {
    name: 'expunge',
    summary: 'take the bytes of transactions away for good',
    text:
      'Takes payload, key and headers of transactions that are a success or a dead letter out of the database for good; hash, size and history stay. ' +
      'A record with the same id and other bytes is expunged by an id of its own. ' +
      'It cannot be undone, and they can never be replayed. Name no person in the reason.',
    done: 'Expunged',
    refusal: 'ExpungeRefusal',
  },
]

/** A subcommand for each of them. */
export const decide: readonly Subcommand[] = decisions.map((decision) =>
  subcommand(decision.name, decision.summary, {
    usage: usageOf(decision),
    options: {
      ...Object.fromEntries(
        (decision.asks ?? []).map(({ flag, type }) => [
          flag,
          { type: type === 'Boolean' ? ('boolean' as const) : ('string' as const) },
        ]),
      ),
      reason: { type: 'string' as const },
      'dry-run': { type: 'boolean' as const, default: false },
      json: { type: 'boolean' as const, default: false },
    },
    allowPositionals: true,
    run: (flags, ids) => run(decision, flags, ids),
  }),
)

function usageOf({ name, text, asks = [] }: Decision): string {
  const required = asks.filter(({ type }) => type.endsWith('!')).map(({ flag }) => ` --${flag} …`)
  const flags = asks.map(({ flag, type, text }) =>
    type === 'Boolean'
      ? `  --${flag}\n${' '.repeat(19)}${text}\n`
      : `  ${`--${flag} …`.padEnd(15)}  ${text}\n`,
  )
  return `Usage: npx tqp ${name} ID …${required.join('')} --reason R [--dry-run] [--json]

${text} Each is a decision of its own, recorded with who made it (the holder of TQP_TOKEN) and why.

${flags.join('')}  --reason R       why, for the log
  --dry-run        changes nothing: prints how they stand, and the command that would do it
${ending}`
}

type Flags = Readonly<Record<string, string | boolean | undefined>>

async function run(decision: Decision, flags: Flags, ids: readonly string[]): Promise<number> {
  const { json = false, 'dry-run': isDry = false, ...asked } = flags
  if (ids.length === 0) throw new FlagFault('Name at least one transaction id.')
  const reason = readReason(flags.reason)
  for (const { flag, type, bytesMax } of decision.asks ?? []) {
    const value = flags[flag]
    if (type.endsWith('!') && value === undefined) throw new FlagFault(`--${flag} is missing.`)
    if (bytesMax !== undefined && typeof value === 'string') requireLine(flag, value, bytesMax)
  }
  if (typeof flags.as === 'string') requireResolution('as', flags.as)
  const results: Result[] = []
  const command = commandLine(['npx', 'tqp', decision.name], asked, ids)
  try {
    for (const id of ids) {
      const result =
        isDry === true ? await look(decision, id) : await decideAbout(decision, flags, reason, id)
      results.push(result)
      if (json === false) printLines([`${id}: ${result.text}`])
    }
  } finally {
    // What was done before a fault is told all the same.
    if (json !== false) printJson({ results, ...(isDry === true && { command }) })
  }
  if (isDry === true && json === false) {
    if (results.some(({ ok }) => ok)) printCommand(command)
    else printLines(['Nothing was changed, and it would be refused.'])
  }
  return results.every(({ ok }) => ok) ? exitCodes.done : exitCodes.differs
}

/** `ok`: it is done; of a dry run, it may be done. */
type Result = { readonly transactionId: string; readonly ok: boolean; readonly text: string }

const resolutions = ['CARRIED_OUT', 'NOT_CARRIED_OUT', 'DUPLICATE', 'IGNORED']

/** @throws FlagFault */
export function requireResolution(flag: string, text: string): void {
  if (!resolutions.includes(enumName(text)))
    throw new FlagFault(`--${flag} must be carried-out, not-carried-out, duplicate or ignored.`)
}

async function decideAbout(
  { name, asks = [], done, refusal }: Decision,
  flags: Flags,
  reason: string,
  id: string,
): Promise<Result> {
  const parameters = asks.map(({ argument, type }) => `, $${argument}: ${type}`).join('')
  const given = asks.map(({ argument }) => `, ${argument}: $${argument}`).join('')
  const variables: Record<string, unknown> = { id, reason }
  for (const { flag, argument, type } of asks) {
    const value = flags[flag]
    variables[argument] = type === 'Resolution!' && typeof value === 'string' ? enumName(value) : value
  }
  const { result } = await change<{ result: Answer }>(
    `mutation ($id: ID!, $reason: String!${parameters}) {
      result: ${name}(transactionId: $id, reason: $reason${given}) {
        __typename
        ... on ${done} { version ${done === 'Decided' ? '' : 'repeated'} message { status held resolution outcomeUnknown ${name === 'expunge' ? conflictFields : ''} } }
        ... on ${refusal} { text }
      }
    }`,
    variables,
    id,
    'npx tqp show',
  )
  if (result.__typename !== done) return { transactionId: id, ok: false, text: explain(result) }
  const kept = name === 'expunge' && result.message ? andKept(result.message) : ''
  const standing = result.message ? `, now ${describeStatus(result.message)}${kept}` : ''
  const what = result.repeated === true ? 'was done before' : 'done'
  return { transactionId: id, ok: true, text: `${what}, version ${result.version}${standing}` }
}

type Answer = {
  readonly __typename: string
  readonly text?: string
  readonly version?: number
  /** Whether an earlier request did it, perhaps somebody else's. */
  readonly repeated?: boolean
  /** The conflicts are asked for by an expunge alone. */
  readonly message?: (Standing & Conflicts) | null
}

/** The sentence of the service names arguments of GraphQL; here the flag is named too. */
function explain({ __typename, text = __typename }: Answer): string {
  return __typename === 'KeyWindowPassed' ? `${text} (here: --confirm-not-carried-out)` : text
}

const lookQuery = `query ($id: ID!) {
  message(transactionId: $id) { status held resolution outcomeUnknown replayable payload { state bytes } ${conflictFields} }
}`

async function look({ name }: Decision, id: string): Promise<Result> {
  let message: Looked | null
  try {
    message = (await ask<{ message: Looked | null }>(lookQuery, { id })).message
  } catch (error) {
    if (!(error instanceof Refused) || error.code !== 'ARCHIVED') throw error
    return { transactionId: id, ok: false, text: error.message }
  }
  if (message === null) return { transactionId: id, ok: false, text: 'there is no such transaction' }
  const status = describeStatus(message)
  if (name === 'expunge') return { transactionId: id, ...lookAtBytes(message, status) }
  const refusal = refusalOf(name, message)
  return {
    transactionId: id,
    ok: refusal === null,
    text: refusal === null ? status : `${status}, ${refusal}`,
  }
}

/** Why the service would refuse the decision as things stand; null if it would not. */
function refusalOf(
  name: Exclude<Decision['name'], 'expunge'>,
  { status, held, resolution, replayable }: Looked,
): string | null {
  const isWaiting = status === 'PENDING' || status === 'FAILED'
  const isLetter = status === 'DEAD_LETTER'
  switch (name) {
    case 'replay':
      return replayable ? null : 'cannot be replayed'
    case 'hold':
      return isWaiting && !held ? null : 'cannot be held'
    case 'release':
      return held ? null : 'cannot be released'
    case 'cancel':
      return isWaiting ? null : 'cannot be cancelled'
    case 'resolve':
      return isLetter && resolution === null ? null : 'cannot be resolved'
    case 'reopen':
      return isLetter && resolution !== null ? null : 'cannot be reopened'
  }
}

type Looked = Standing &
  Conflicts & {
    readonly replayable: boolean
    readonly payload: { readonly state: string; readonly bytes: number | null } | null
  }

/** What an expunge would take away, and what it would not. */
function lookAtBytes({ payload, ...message }: Looked, status: string): Omit<Result, 'transactionId'> {
  const kept = andKept(message)
  if (payload?.state === 'EXPUNGED') return { ok: true, text: `${status}, was expunged before${kept}` }
  if (message.status !== 'SUCCESS' && message.status !== 'DEAD_LETTER')
    return { ok: false, text: `${status}, may still be sent: it cannot be expunged` }
  return {
    ok: true,
    text: `${status}, would lose ${payload?.bytes ?? 0} bytes, the key and the headers${kept}`,
  }
}

function andKept(message: Conflicts): string {
  const kept = listKept(message)
  return kept === null ? '' : `; ${kept}`
}
