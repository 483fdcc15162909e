import type { IncomingMessage } from 'node:http'
import type { Logger } from '../runtime/logger.ts'
import { Seldom } from '../runtime/seldom.ts'
import { authenticate, type Access, type Viewer } from './access.ts'
import { explainForeign } from './explain-foreign.ts'

// Whoever is refused may try as often as he likes.
const tellEveryMs = 60_000

/**
 * Who may ask, for every transport alike. What a setting would mend, as behind a proxy, is told to the caller and in a line of the log: at
 * most one a minute, with how many were refused since the last. A wrong token is its holder's matter.
 */
export class Gate {
  readonly #access: Access
  readonly #logger: Logger
  readonly #telling = new Seldom(tellEveryMs)
  #untold = 0

  constructor(access: Access, logger: Logger) {
    this.#access = access
    this.#logger = logger
  }

  /** Who asks, or a sentence that says why nobody is let in. `authorization` stands in for the request's own header. */
  identify(request: IncomingMessage, authorization?: string): Viewer | string {
    const viewer = authenticate(request, this.#access, authorization ?? request.headers.authorization)
    if (typeof viewer === 'string' && this.#access.tokens.length === 0) this.#tell(viewer)
    return viewer
  }

  /** Whether a token that comes later may say who asks. */
  get hasTokens(): boolean {
    return this.#access.tokens.length > 0
  }

  /** Why a page of another origin is refused; null where none asks. */
  refuseForeign(request: IncomingMessage, wish: 'ask' | 'write'): string | null {
    const why = explainForeign(request, this.#access)
    if (why === null) return null
    this.#tell(why)
    return `Pages of another origin may not ${wish}: ${why}`
  }

  #tell(reason: string): void {
    this.#untold += 1
    if (!this.#telling.due()) return
    this.#logger.warn({ reason, refused: this.#untold }, 'request refused')
    this.#untold = 0
  }
}
