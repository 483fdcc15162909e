import { ask } from '../../api/ask.ts'
import { journalOperation, type JournalResult, type JournalVariables } from '../../api/operations.ts'
import { formatName } from '../../parts/format.ts'

/** One decision, as the API tells it. */
export type Entry = NonNullable<JournalResult['journal']>['nodes'][number]

export type Wanted = JournalVariables['filter']

export const kinds = ['PAYMENT', 'DESTINATION', 'REPLAY_JOB', 'PARTITION', 'ARCHIVE', 'EPOCH'] as const

export type Page = {
  readonly entries: readonly Entry[]
  /** Where the next page begins; null if this one is the last. */
  readonly end: string | null
}

/** A page of the journal, newest first. @throws where it is not told: not the end, for that is an empty page */
export async function readPage(filter: Wanted, after: string | null, first: number): Promise<Page> {
  return toPage((await ask(journalOperation, { filter, first, after })).data)
}

export function toPage({ journal }: JournalResult): Page {
  if (journal === null) throw new Error('The service did not tell what was decided.')
  const { nodes, pageInfo } = journal
  return { entries: nodes, end: pageInfo.hasNextPage ? pageInfo.endCursor : null }
}

/** What was decided, in words. */
export function describe({ decision, detail }: Entry): string {
  return detail === null ? formatName(decision) : `${formatName(decision)}: ${formatName(detail)}`
}

/** What it is about, in words; a payment is its id. */
export function nameSubject({ kind, transactionId, destination, job, topic, partition }: Entry): string {
  switch (kind) {
    case 'PAYMENT':
      return transactionId ?? ''
    case 'DESTINATION':
      return `destination ${destination ?? ''}`
    case 'REPLAY_JOB':
      return `job ${job ?? ''}`
    case 'PARTITION':
      return `partition ${partition ?? ''} of ${topic ?? ''}`
    case 'ARCHIVE':
      return 'the archive'
    case 'EPOCH':
      return 'the log'
  }
}
