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
  /** By version. Of a long life those in between are left out until they are asked for. */
  readonly events: Signal<readonly Event[]>
  /** Where the message is that is not in the database any more. */
  readonly archived: Signal<{ readonly archive: string; readonly archivedAt: string } | null>
  readonly fault: Signal<string | null>
  /** Whether anything was answered yet. */
  readonly isRead: Signal<boolean>
  /** Reads on at once, for one who has just changed something. */
  readonly read: () => void
  /** Reads those after this version that were left out, as many as come at once. */
  readonly readAfter: (version: number) => Promise<void>
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

  /** Takes those that are not there yet. */
  const add = (page: readonly Event[]): void => {
    const known = new Set(events.value.map(({ version }) => version))
    const all = [...events.value, ...page.filter(({ version }) => !known.has(version))]
    events.value = all.sort((left, right) => left.version - right.version)
  }

  const readAfter = async (afterVersion: number): Promise<void> => {
    try {
      const { data } = await ask(transactionOperation, { transactionId, afterVersion }, isArchived)
      add(data.message?.history ?? [])
    } catch (error) {
      fault.value = sentenceOf(error)
    }
  }

  const readOnce = async (): Promise<void> => {
    let afterVersion = events.value.at(-1)?.version ?? 0
    try {
      for (;;) {
        const { data } = await ask(transactionOperation, { transactionId, afterVersion }, isArchived)
        if (data.message === null) {
          archived.value = (await ask(findMessageOperation, { transactionId }, isArchived)).data.archived
          message.value = null
          break
        }
        const page = data.message.history ?? []
        add(page)
        message.value = data.message
        if (page.length < pageSize) break
        // Thousands may lie in between, such as those of a record that came again and again: on to the newest.
        afterVersion = Math.max(page.at(-1)?.version ?? 0, data.message.version - pageSize)
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
      // After a restore the log may not have what is shown any more.
      lose: () => {
        events.value = []
        startLater()
      },
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
    readAfter,
    leave: () => {
      isLeft = true
      clearTimeout(timer)
      stop()
    },
  }
}
