import { setTimeout as sleep } from 'node:timers/promises'
import { exitCodes, FlagFault } from '../commands/run-command.ts'
import { printable, printableJson } from '../runtime/printable.ts'
import { ask, follow, OutOfReach } from './ask.ts'
import { describeStatus, type Standing } from './describe-status.ts'
import { printLines, shortTime } from './print.ts'
import { subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp watch [ID] [--json]

Prints each event of the log as it comes, from now on, or each change of one transaction. If the service is cut off it says so, and goes on
from where it was: nothing is missed. Ctrl-C ends it.

  --json           each as one line of JSON in place of words
  --help           this text

Ends with 0 at Ctrl-C, 1 if it was refused (and says why), 2 if the service could not be reached at the start or the command line is wrong.
`

const head = '{ head { cursor } }'

const events = `subscription ($after: String!) {
  messageEvents(after: $after, positionsEverySeconds: 5) {
    cursor
    node { transactionId version type recordedAt actor attempt outcome statusCode reason status }
  }
}`

const changes = `subscription ($id: ID!) {
  message(transactionId: $id) { transactionId version status held resolution outcomeUnknown attempts updatedAt nextDueAt errorMessage }
}`

type Event = {
  readonly transactionId: string
  readonly type: string
  readonly recordedAt: string
  readonly attempt: number | null
  readonly outcome: string | null
  readonly statusCode: number | null
  readonly reason: string | null
}

type Changed = Standing & {
  readonly version: number
  readonly attempts: number
  readonly updatedAt: string
  readonly errorMessage: string | null
}

const againAfterMs = 1_000

export const watch = subcommand('watch', 'events as they come, or one transaction', {
  usage,
  options: { json: { type: 'boolean', default: false } },
  allowPositionals: true,
  run: async ({ json }, words) => {
    const [id, ...others] = words
    if (others.length > 0) throw new FlagFault('Name at most one transaction id.')
    process.once('SIGINT', () => process.exit(exitCodes.done))
    // Whoever reads through a pipe has seen enough.
    process.stdout.once('error', () => process.exit(exitCodes.done))
    const print = (value: object, words: string): void => {
      if (json) process.stdout.write(`${printableJson(value)}\n`)
      else printLines([words])
    }
    await (id === undefined ? watchLog(print) : watchMessage(id, print))
    return exitCodes.done
  },
})

type Print = (value: object, words: string) => void

async function watchLog(print: Print): Promise<void> {
  const answer = await ask<{ head: { cursor: string } | null }>(head)
  if (answer.head === null) throw new OutOfReach('The database does not answer: try again later.')
  let { cursor } = answer.head
  type Data = { messageEvents: { cursor: string; node: Event | null } }
  await keepFollowing(
    () => follow<Data>(events, { after: cursor }),
    ({ messageEvents }) => {
      cursor = messageEvents.cursor
      const { node } = messageEvents
      if (node !== null) print(node, describeEvent(node))
    },
  )
}

async function watchMessage(id: string, print: Print): Promise<void> {
  let version = -1
  await keepFollowing(
    () => follow<{ message: Changed | null }>(changes, { id }),
    ({ message }) => {
      // After a break it begins with what may have been printed already.
      const reached = message?.version ?? 0
      if (reached === version) return
      version = reached
      if (message === null) print({ message }, `${id} has not been received yet.`)
      else print(message, describeChange(message))
    },
  )
}

/**
 * Follows a stream, and after each break another one: one that ends has broken too. As long as nothing has come, a service that cannot be
 * reached is for the caller, and so is a refusal at any time.
 */
async function keepFollowing<Data>(
  begin: () => AsyncIterable<Data>,
  take: (data: Data) => void,
): Promise<never> {
  let isReached = false
  let told: string | null = null
  for (;;) {
    let why = 'The stream has ended.'
    try {
      for await (const data of begin()) {
        isReached = true
        told = null
        take(data)
      }
    } catch (error) {
      if (!isReached || !(error instanceof OutOfReach)) throw error
      why = error.message
    }
    // Once for each break, and not once for each try.
    if (told !== why) process.stderr.write(`${printable(why)} Trying again.\n`)
    told = why
    await sleep(againAfterMs)
  }
}

function describeEvent({
  transactionId,
  type,
  recordedAt,
  attempt,
  outcome,
  statusCode,
  reason,
}: Event): string {
  const words = [shortTime(recordedAt), transactionId, type.toLowerCase()]
  if (attempt !== null) words.push(`attempt ${attempt}`)
  if (outcome !== null) words.push(outcome.toLowerCase())
  if (statusCode !== null) words.push(String(statusCode))
  if (reason !== null) words.push(`(${reason})`)
  return words.join(' ')
}

function describeChange(message: Changed): string {
  const error = message.errorMessage === null ? '' : ` (${message.errorMessage})`
  return `${shortTime(message.updatedAt)} version ${message.version}: ${describeStatus(message)} after ${message.attempts} ${message.attempts === 1 ? 'attempt' : 'attempts'}${error}`
}
