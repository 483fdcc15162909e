import type { IncomingMessage } from 'node:http'
import type { Metrics } from '../metrics.ts'
import type { Logger } from '../runtime/logger.ts'
import { Seldom } from '../runtime/seldom.ts'
import type { AccessLog } from './accesses/access-log.ts'
import { authenticate, type Access, type Refusal, type Viewer } from './access.ts'
import { explainForeign } from './explain-foreign.ts'
import { shortName, type Tokens } from './tokens.ts'

// Whoever is refused may try as often as he likes.
const tellEveryMs = 60_000

type Parts = {
  readonly access: Access
  readonly tokens: Tokens
  readonly accesses: AccessLog
  readonly metrics: Pick<Metrics, 'tokenRequests'>
  readonly logger: Logger
}

/**
 * Who may ask, for every transport alike. What a setting would mend, as behind a proxy, is told to the caller and in a line of the log: at
 * most one a minute, with how many were refused since the last. A wrong token is its holder's matter; that it was refused is recorded as
 * an access.
 */
export class Gate {
  readonly #parts: Parts
  readonly #telling = new Seldom(tellEveryMs)
  #untold = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  /** Who asks, or a sentence that says why nobody is let in. `authorization` stands in for the request's own header. */
  identify(request: IncomingMessage, authorization?: string): Viewer | string {
    const { access, tokens, metrics } = this.#parts
    const given = authorization ?? request.headers.authorization
    const answer = authenticate(request, access, tokens, given)
    if ('sentence' in answer) return this.#refuse(request, answer)
    if (answer.token !== null) metrics.tokenRequests.inc({ token: shortName(answer.token) })
    return answer
  }

  /** Notes that one who is known wished for what his role does not allow. */
  forbid(request: Pick<IncomingMessage, 'socket'>, viewer: Viewer): void {
    this.#parts.accesses.refuse('role', request.socket.remoteAddress, viewer.name)
  }

  /** Whether a token that comes later may say who asks. */
  get hasTokens(): boolean {
    return this.#parts.tokens.count > 0
  }

  /** Why a page of another origin is refused; null where none asks. */
  refuseForeign(request: IncomingMessage, wish: 'ask' | 'write'): string | null {
    const why = explainForeign(request, this.#parts.access)
    if (why === null) return null
    this.#tell(why)
    return `Pages of another origin may not ${wish}: ${why}`
  }

  #refuse(request: IncomingMessage, { reason, sentence, name }: Refusal): string {
    this.#parts.accesses.refuse(reason, request.socket.remoteAddress, name)
    if (reason === 'stranger') this.#tell(sentence)
    return sentence
  }

  #tell(reason: string): void {
    this.#untold += 1
    if (!this.#telling.due()) return
    this.#parts.logger.warn({ reason, refused: this.#untold }, 'request refused')
    this.#untold = 0
  }
}
