import type { Asking } from './asking.ts'
import { BytesRead } from './bytes-read.ts'

type Write = (asking: Asking, bytes: BytesRead) => Promise<unknown>
type Followed = {
  readonly asking: Asking
  bytes: BytesRead
  isRecorded: boolean
  writing: Promise<void> | null
}

// By token and address. What those beyond read is recorded answer by answer.
const followedMax = 1_000

/**
 * Whose bytes subscriptions read. Their answers may be a thousand a second, so the first is recorded before it leaves, and those after it
 * together, each minute. After a minute without one, the next is the first again; so it is while what came last could not be recorded.
 */
export class FollowedReads {
  readonly #write: Write
  readonly #followed = new Map<string, Followed>()

  constructor(write: Write) {
    this.#write = write
  }

  /** @throws DatabaseUnavailable; then the answer must not leave */
  async add(asking: Asking, bytes: BytesRead): Promise<void> {
    const key = JSON.stringify([asking.viewer.name, asking.viewer.token, asking.address])
    let followed = this.#followed.get(key)
    if (followed === undefined) {
      if (this.#followed.size >= followedMax) {
        await this.#write(asking, bytes)
        return
      }
      followed = { asking, bytes: new BytesRead(), isRecorded: false, writing: null }
      this.#followed.set(key, followed)
    }
    followed.bytes.add(bytes)
    if (!followed.isRecorded) await this.#record(followed)
  }

  /** Records what was read since the last time. Never rejects. */
  async writeCounted(): Promise<void> {
    const all = [...this.#followed].map(async ([key, followed]) => {
      if (followed.bytes.messages === 0) this.#followed.delete(key)
      else await this.#record(followed).catch(() => undefined)
    })
    await Promise.all(all)
  }

  async #record(followed: Followed): Promise<void> {
    followed.writing ??= this.#take(followed).finally(() => (followed.writing = null))
    await followed.writing
  }

  async #take(followed: Followed): Promise<void> {
    const { bytes } = followed
    followed.bytes = new BytesRead()
    try {
      await this.#write(followed.asking, bytes)
      followed.isRecorded = true
    } catch (error) {
      bytes.add(followed.bytes)
      followed.bytes = bytes
      followed.isRecorded = false
      throw error
    }
  }
}
