import { FlagFault, readCount } from '../commands/run-command.ts'
import { readPastTime } from '../config/read-past-time.ts'

/** The flags that choose messages: MessageFilter's conditions, all of which must hold. */
export const filterFlags = {
  status: { type: 'string' },
  prefix: { type: 'string' },
  reference: { type: 'string' },
  topic: { type: 'string' },
  partition: { type: 'string' },
  error: { type: 'string' },
  pattern: { type: 'string' },
  'status-code': { type: 'string' },
  cause: { type: 'string' },
  unknown: { type: 'boolean', default: false },
  held: { type: 'boolean', default: false },
  open: { type: 'boolean', default: false },
  resolved: { type: 'boolean', default: false },
  since: { type: 'string' },
  until: { type: 'string' },
} as const

export const filterUsage = `  --status S       pending, processing, success, failed or dead_letter; several with commas
  --prefix P       the transaction id begins with P (3 bytes at least)
  --reference R    an answer of the processor called the payment R
  --topic T        from this topic
  --partition N    from this partition
  --error TEXT     the last error contains TEXT (with --status failed or dead_letter, or at most 24 h of --since and --until)
  --pattern P      the last error has this pattern, as the metrics group them
  --status-code N  the last answer had this HTTP status; several with commas
  --cause C        dead letters of this cause: refused, retries_exhausted, cancelled, …; several with commas
  --unknown        may have been carried out: the outcome of an attempt is unknown
  --held           on hold
  --open           dead letters that nobody has resolved
  --resolved       dead letters that are resolved
  --since T        received since T: a time like 2026-11-29T06:00:00Z, or a span before now like 2h (s, m, h or d)
  --until T        received before T
`

export type FilterValues = {
  readonly [Flag in keyof typeof filterFlags]?: string | boolean | undefined
}

/**
 * Makes a MessageFilter of the flags. The service checks the values.
 *
 * @throws an Error with one sentence
 */
export function readFilter(flags: FilterValues): Record<string, unknown> {
  const text = (name: keyof FilterValues): string | undefined => flags[name] as string | undefined
  if (flags.open === true && flags.resolved === true)
    throw new FlagFault('Give --open or --resolved, not both.')
  const createdAt = { from: readPastTime('since', text('since')), to: readPastTime('until', text('until')) }
  const filter = {
    status: list(text('status'))?.map(enumName),
    transactionIdPrefix: text('prefix'),
    reference: text('reference'),
    topic: text('topic'),
    partition:
      text('partition') === undefined ? undefined : readCount('partition', text('partition') ?? '', 0),
    errorContains: text('error'),
    failurePattern: text('pattern'),
    lastStatusCode: list(text('status-code'))?.map((each) => readCount('status-code', each, 100)),
    deadLetterCause: list(text('cause'))?.map(enumName),
    outcomeUnknown: flags.unknown === true ? true : undefined,
    held: flags.held === true ? true : undefined,
    resolved: flags.open === true ? false : flags.resolved === true ? true : undefined,
    createdAt: createdAt.from === undefined && createdAt.to === undefined ? undefined : createdAt,
  }
  return Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
}

function list(text: string | undefined): string[] | undefined {
  return text?.split(',').map((each) => each.trim())
}

/** As GraphQL spells the values of its enums. */
export function enumName(word: string): string {
  return word.trim().toUpperCase().replaceAll('-', '_')
}
