import { exitCodes, readCount } from '../commands/run-command.ts'
import { ask } from './ask.ts'
import { filterFlags, filterUsage, readFilter } from './filter.ts'
import { quote } from '../runtime/shell-words.ts'
import { group, printJson, printLines, printTable, shortTime } from './print.ts'
import { ending, subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp list [FILTER …] [--first N] [--after CURSOR] [--json]

Lists messages, the newest first, a page at a time. All conditions that are given must hold.

${filterUsage}  --first N        so many, at most 200 (default: 20)
  --after CURSOR   the page after this one: the last line of a page names it
${ending}`

const query = `query ($filter: MessageFilter, $first: Int, $after: String) {
  messages(filter: $filter, first: $first, after: $after) {
    totalCount { value exact }
    nodes {
      transactionId status held resolution deadLetterCause attempts retryCount nextDueAt createdAt updatedAt outcomeUnknown errorMessage
    }
    pageInfo { hasNextPage endCursor }
  }
}`

type Listed = {
  readonly transactionId: string
  readonly status: string
  readonly held: boolean
  readonly resolution: string | null
  readonly attempts: number
  readonly createdAt: string
  readonly outcomeUnknown: boolean
  readonly errorMessage: string | null
}

type Data = {
  readonly messages: {
    readonly totalCount: { readonly value: string; readonly exact: boolean } | null
    readonly nodes: readonly Listed[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  } | null
}

export const list = subcommand('list', 'messages, by what is asked for', {
  usage,
  options: {
    ...filterFlags,
    first: { type: 'string', default: '20' },
    after: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
  run: async ({ first, after, json, ...flags }) => {
    const { messages } = await ask<Data>(query, {
      filter: readFilter(flags),
      first: readCount('first', first),
      after,
    })
    if (json) printJson({ messages })
    else if (messages !== null) print(messages)
    return exitCodes.done
  },
})

function print({ totalCount, nodes, pageInfo }: NonNullable<Data['messages']>): void {
  if (nodes.length > 0)
    printTable<Listed>(
      {
        transaction: (row) => row.transactionId,
        status: describeStatus,
        attempts: (row) => row.attempts,
        received: (row) => shortTime(row.createdAt),
        'last error': (row) => row.errorMessage,
      },
      nodes,
    )
  const total = totalCount === null ? '' : ` of ${totalCount.exact ? '' : 'about '}${group(totalCount.value)}`
  printLines([`${nodes.length}${total}`])
  if (pageInfo.hasNextPage && pageInfo.endCursor !== null)
    process.stdout.write(`next page: --after ${quote(pageInfo.endCursor)}\n`)
}

/** The status in words, with what makes it another matter. */
export function describeStatus(message: {
  readonly status: string
  readonly held: boolean
  readonly resolution: string | null
  readonly outcomeUnknown: boolean
}): string {
  const words = [message.status.toLowerCase()]
  if (message.held) words.push('on hold')
  if (message.resolution !== null) words.push(`resolved: ${message.resolution.toLowerCase()}`)
  // One that was accepted was carried out, whatever became of an earlier attempt.
  if (message.outcomeUnknown && message.status !== 'SUCCESS') words.push('in doubt')
  return words.join(', ')
}
