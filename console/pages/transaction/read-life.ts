import { signal, type Signal } from '@preact/signals'
import { askHead } from '../../api/ask-head.ts'
import { ask, isArchived } from '../../api/ask.ts'
import { backOff } from '../../api/back-off.ts'
import { follow } from '../../api/follow.ts'
import {
  findMessageOperation,
  transactionEventsOperation,
  transactionOperation,
  type TransactionResult,
} from '../../api/operations.ts'
import { sentenceOf } from '../../parts/notice.tsx'

export type Message = NonNullable<TransactionResult['message']>
export type Event = NonNullable<Message['history']>[number]

export type Life = {
  readonly message: Signal<Message | null>
  /** By version, without a gap. */
  readonly events: Signal<readonly Event[]>
  /** Where the message is that is not in the database any more. */
  readonly archived: Signal<{ readonly archive: string; readonly archivedAt: string } | null>
  readonly fault: Signal<string | null>
  /** Whether anything was answered yet. */
  readonly isRead: Signal<boolean>
  /** Reads on at once, for one who has just changed something. */
  readonly read: () => void
  readonly leave: () => void
}

// As many as the operation asks for at once.
const pageSize = 200

/**
 * Reads a message with its events, and keeps them as they are. The cursor is asked for before the message, so that what is recorded in
 * between comes by both ways; an event is known by its version, and so shown once.
 */
export function readLife(transactionId: string): Life {
  const message = signal<Message | null>(null)
  const events = signal<readonly Event[]>([])
  const archived = signal<{ archive: string; archivedAt: string } | null>(null)
  const fault = signal<string | null>(null)
  const isRead = signal(false)
  let cursor = ''
  let isLeft = false
  let stop = (): void => undefined
  let reading: Promise<void> | null = null
  let isAsked = false
  let timer: ReturnType<typeof setTimeout> | undefined
  const wait = backOff(2_000)

  /** One reading at a time; what is asked for meanwhile is done once more after it. */
  const read = (): void => {
    isAsked = true
    reading ??= (async () => {
      while (isAsked && !isLeft) {
        isAsked = false
        await readOnce()
      }
      reading = null
    })()
  }

  const readOnce = async (): Promise<void> => {
    try {
      for (;;) {
        const afterVersion = events.value.at(-1)?.version ?? 0
        const { data } = await ask(transactionOperation, { transactionId, afterVersion }, isArchived)
        if (data.message === null) {
          archived.value = (await ask(findMessageOperation, { transactionId }, isArchived)).data.archived
          break
        }
        const page = data.message.history ?? []
        events.value = [...events.value, ...page]
        message.value = data.message
        if (page.length < pageSize) break
      }
      fault.value = null
    } catch (error) {
      fault.value = sentenceOf(error)
    }
    isRead.value = true
  }

  const startLater = (): void => {
    if (!isLeft) timer = setTimeout(() => void start(), wait.next())
  }

  const start = async (): Promise<void> => {
    try {
      cursor = await askHead()
    } catch (error) {
      fault.value = sentenceOf(error)
      isRead.value = true
      startLater()
      return
    }
    if (isLeft) return
    read()
    stop = follow(transactionEventsOperation, {
      variables: () => ({ after: cursor, transactionId }),
      take: ({ messageEvents }) => {
        wait.reset()
        cursor = messageEvents.cursor
        if (messageEvents.node !== null || fault.peek() !== null) read()
      },
      lose: startLater,
    })
  }

  void start()
  return {
    message,
    events,
    archived,
    fault,
    isRead,
    read,
    leave: () => {
      isLeft = true
      clearTimeout(timer)
      stop()
    },
  }
}
