import { exitCodes, FlagFault, readCount } from '../commands/run-command.ts'
import { ask } from './ask.ts'
import { group, printJson, printNextPage, printTable, shortTime, type PageInfo } from './print.ts'
import { ending, subcommand } from './subcommand.ts'

const kinds = [
  'login_refused',
  'payload_read',
  'exported',
  'command_started',
  'command_ended',
  'service_started',
  'tokens_changed',
]

const usage = `Usage: npx tqp accesses [--kind K]… [--actor A] [--id ID] [--first N] [--after CURSOR] [--json]

Lists who came to the data, the newest first: refused logins, payloads that were read, exports, commands, starts of the service and changes of
its tokens. It needs the role investigator or operator. A refused login is listed within a minute.

  --kind K         only this kind: ${kinds.join(', ')};
                   it can be given more than once
  --actor A        only of this holder of a token, or author of commands
  --id ID          only who read the payload, key or headers of this transaction
  --first N        so many, at most 200 (default: 20)
  --after CURSOR   the page after this one: the last line of a page names it
${ending}`

const query = `query Accesses($filter: AccessFilter, $first: Int, $after: String) {
  accesses(filter: $filter, first: $first, after: $after) {
    nodes { id recordedAt kind actor role address instance databaseUser name amount transactionIds startedBy details }
    pageInfo { hasNextPage endCursor }
  }
}`

type Listed = {
  readonly id: string
  readonly recordedAt: string
  readonly kind: string
  readonly actor: string | null
  readonly role: string | null
  readonly address: string | null
  readonly databaseUser: string
  readonly name: string | null
  readonly amount: string
  readonly transactionIds: readonly string[] | null
  readonly startedBy: string | null
  readonly details: Readonly<Record<string, unknown>>
}

type Data = {
  readonly accesses: {
    readonly nodes: readonly Listed[]
    readonly pageInfo: PageInfo
  }
}

export const accesses = subcommand('accesses', 'who came to the data', {
  usage,
  options: {
    kind: { type: 'string', multiple: true },
    actor: { type: 'string' },
    id: { type: 'string' },
    first: { type: 'string', default: '20' },
    after: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  run: async ({ kind, actor, id, first, after, json }) => {
    const filter = { kind: kind?.map(readKind), actor, transactionId: id }
    const data = await ask<Data>(query, { filter, first: readCount('first', first), after })
    if (json) printJson(data)
    else print(data.accesses)
    return exitCodes.done
  },
})

function readKind(text: string): string {
  const kind = text.toLowerCase().replaceAll('-', '_')
  if (kinds.includes(kind)) return kind.toUpperCase()
  throw new FlagFault(`--kind must be one of ${kinds.join(', ')}.`)
}

function print({ nodes, pageInfo }: Data['accesses']): void {
  printTable<Listed>(
    {
      '#': (access) => access.id,
      time: (access) => shortTime(access.recordedAt),
      access: (access) => access.kind.toLowerCase(),
      by: ({ actor, role }) => (role === null ? actor : `${actor ?? ''} (${role})`),
      from: ({ address, kind, databaseUser }) => (kind.startsWith('COMMAND') ? databaseUser : address),
      what: (access) => access.name,
      amount: (access) => group(access.amount),
      more: describeMore,
    },
    nodes,
  )
  printNextPage(pageInfo)
}

const namedMax = 3

function describeMore({ kind, transactionIds, startedBy, details }: Listed): string {
  if (transactionIds !== null) {
    const more = transactionIds.length > namedMax ? `, and ${transactionIds.length - namedMax} more` : ''
    return transactionIds.slice(0, namedMax).join(', ') + more
  }
  if (startedBy !== null) return `ends #${startedBy} with ${String(details.code)}`
  if (kind === 'SERVICE_STARTED')
    return Array.isArray(details.changed) ? `changed: ${details.changed.join(', ') || 'nothing'}` : ''
  return Object.entries(details)
    .map(([name, value]) => `${name} ${typeof value === 'string' ? value : JSON.stringify(value)}`)
    .join(', ')
}
