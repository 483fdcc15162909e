import type { MessageFilter } from '../log/read/messages/filter.ts'
import { deadLetterCauses, type DeadLetterCause } from '../message/message.ts'
import { readPastTime } from './read-past-time.ts'

/** The flags that choose dead letters, in the form of `parseArgs`. Those that may be given more than once hold together as "any of these". */
export const letterFlags = {
  'status-code': { type: 'string', multiple: true },
  cause: { type: 'string', multiple: true },
  pattern: { type: 'string' },
  'error-contains': { type: 'string' },
  since: { type: 'string' },
  until: { type: 'string' },
  'created-since': { type: 'string' },
  'created-until': { type: 'string' },
  id: { type: 'string', multiple: true },
  'id-prefix': { type: 'string' },
  reference: { type: 'string' },
  topic: { type: 'string' },
  partition: { type: 'string' },
  'outcome-unknown': { type: 'string' },
  'retries-min': { type: 'string' },
  'retries-max': { type: 'string' },
} as const

type Name = keyof typeof letterFlags
type Text<Key extends Name> = (typeof letterFlags)[Key] extends { multiple: true } ? string[] : string
export type LetterFlags = { readonly [Key in Name]?: Text<Key> | undefined }

const intMax = 2_147_483_647

/**
 * The flags as a filter of the log's reader.
 *
 * @throws an Error with one sentence
 */
export function readLetterFilter(flags: LetterFlags, now: number = Date.now()): MessageFilter {
  const time = (name: Name) => readPastTime(name, flags[name] as string | undefined, now)
  // Every id begins with an empty text: what an unset variable of a shell leaves would choose all.
  for (const name of Object.keys(letterFlags) as Name[])
    if ([flags[name] ?? []].flat().includes(''))
      throw new Error(`--${name} is empty: name something, or leave it out.`)
  return {
    statuses: ['dead_letter'],
    lastStatusCodes: flags['status-code']?.map((text) => readWhole('status-code', text)),
    deadLetterCauses: flags.cause?.map(readCause),
    failurePattern: flags.pattern,
    errorContains: flags['error-contains'],
    deadLetteredAt: range(time('since'), time('until')),
    createdAt: range(time('created-since'), time('created-until')),
    transactionIds: flags.id,
    transactionIdPrefix: flags['id-prefix'],
    reference: flags.reference,
    topic: flags.topic,
    partition: readOptional('partition', flags.partition),
    outcomeUnknown: readBoolean(flags['outcome-unknown']),
    retryCountMin: readOptional('retries-min', flags['retries-min']),
    retryCountMax: readOptional('retries-max', flags['retries-max']),
  }
}

function range(from: string | undefined, to: string | undefined) {
  return from === undefined && to === undefined ? undefined : { from, to }
}

function readOptional(name: Name, text: string | undefined): number | undefined {
  return text === undefined ? undefined : readWhole(name, text)
}

function readWhole(name: Name, text: string): number {
  if (/^\d{1,10}$/.test(text) && Number(text) <= intMax) return Number(text)
  throw new Error(`--${name} must be a whole number, not ${JSON.stringify(text)}.`)
}

function readCause(text: string): DeadLetterCause {
  const cause = deadLetterCauses.find((each) => each === text.toLowerCase())
  if (cause !== undefined) return cause
  throw new Error(`--cause must be one of ${deadLetterCauses.join(', ')}.`)
}

function readBoolean(text: string | undefined): boolean | undefined {
  if (text === undefined) return undefined
  if (text === 'true' || text === 'false') return text === 'true'
  throw new Error('--outcome-unknown must be true or false.')
}
