import type { ApiToken } from '../config/read-api.ts'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { AccessLog } from './accesses/access-log.ts'
import { shortName, type Tokens } from './tokens.ts'

/** The file that API_TOKENS_FILE names. */
export type TokenFile = {
  readonly text: () => Promise<string>
  /** Its tokens, or what is wrong with it. */
  readonly parse: (
    text: string,
  ) => { readonly tokens: readonly ApiToken[] } | { readonly faults: readonly string[] }
}

type Parts = {
  readonly tokens: Tokens
  readonly accesses: Pick<AccessLog, 'changeTokens'>
  readonly metrics: Pick<Metrics, 'tokenRequests'>
  readonly logger: Logger
  /** Ends what was opened with a token that is not valid any more. */
  readonly endOthers: (isValid: (sha256: string) => boolean) => void
}

// What is read twice alike is taken, so that a file that is just being written is not. A change is in force within a second.
const lookEveryMs = 400

/**
 * Looks at the file of tokens again and again, and puts those in it in place of those that are valid. While it cannot be read or has a
 * fault, the old tokens stay. It is read as a whole each time: it is small, and no time or size of a file tells of every change, as where a
 * secret that is mounted is replaced by changing a link.
 */
export class FollowedTokens {
  readonly #file: TokenFile
  readonly #parts: Parts
  readonly #timer: NodeJS.Timeout
  #taken: string | null = null
  #seen: string | null = null
  #fault: string | null = null
  #isLooking = false

  constructor(file: TokenFile, parts: Parts) {
    this.#file = file
    this.#parts = parts
    this.#timer = setInterval(() => void this.#look(), lookEveryMs).unref()
  }

  /** Why the file as it is now is not in force; null if it is. */
  get fault(): string | null {
    return this.#fault
  }

  close(): void {
    clearInterval(this.#timer)
  }

  /** Never rejects. A look that takes long, as on a network's disk, is not begun twice. */
  async #look(): Promise<void> {
    if (this.#isLooking) return
    this.#isLooking = true
    try {
      await this.#take(await this.#file.text())
    } catch (error) {
      this.#seen = null
      this.#tell(`The file cannot be read: ${reasonOf(error)}`)
    } finally {
      this.#isLooking = false
    }
  }

  async #take(text: string): Promise<void> {
    const { tokens, endOthers } = this.#parts
    // Whoever was let in just before a change may have opened something just after it.
    const valid = new Set(tokens.all.map(({ sha256 }) => sha256))
    endOthers((sha256) => valid.has(sha256))
    const isSettled = text === this.#seen
    this.#seen = text
    if (!isSettled) return
    if (text === this.#taken) {
      this.#tell(null)
      return
    }
    const read = this.#file.parse(text)
    if ('faults' in read) {
      this.#tell(read.faults.join(' '))
      return
    }
    this.#taken = text
    this.#tell(null)
    await this.#replace(read.tokens)
  }

  async #replace(list: readonly ApiToken[]): Promise<void> {
    const { tokens, accesses, metrics, logger, endOthers } = this.#parts
    const changed = tokens.replace(list)
    const [added, removed] = [changed.added, changed.removed].map((some) => some.map(describe).sort())
    if (added === undefined || removed === undefined || added.length + removed.length === 0) return
    const gone = new Set(changed.removed.map(({ sha256 }) => sha256))
    endOthers((sha256) => !gone.has(sha256))
    for (const sha256 of gone) metrics.tokenRequests.remove({ token: shortName(sha256) })
    logger.info({ added, removed }, 'tokens read again')
    await accesses.changeTokens(added, removed)
  }

  /** Once, until it is mended. */
  #tell(fault: string | null): void {
    const { logger } = this.#parts
    if (fault !== null && fault !== this.#fault)
      logger.warn({ reason: fault }, 'tokens cannot be used; the old ones stay in use')
    if (fault === null && this.#fault !== null) logger.info('tokens can be used again')
    this.#fault = fault
  }
}

function describe({ name, role, sha256 }: ApiToken): string {
  return `${name}:${role}:${shortName(sha256)}`
}
