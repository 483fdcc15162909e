import { createHash, timingSafeEqual } from 'node:crypto'
import type { ApiToken } from '../config/read-api.ts'

type Held = { readonly token: ApiToken; readonly hash: Buffer }

// Of so many removed tokens it is still known whose they were.
const removedMax = 1_000

/** The tokens that are valid now. Two of the same holder may be, while one takes the place of the other. */
export class Tokens {
  #valid: readonly Held[]
  #removed: readonly Held[] = []

  constructor(tokens: readonly ApiToken[]) {
    this.#valid = tokens.map(hold)
  }

  get count(): number {
    return this.#valid.length
  }

  get all(): readonly ApiToken[] {
    return this.#valid.map(({ token }) => token)
  }

  /**
   * Whose token this is; null if it never was anybody's. Every token is compared, each in constant time, so that how long it takes tells
   * nothing of them.
   */
  find(text: string): { readonly token: ApiToken; readonly isRemoved: boolean } | null {
    const given = createHash('sha256').update(text).digest()
    const [valid] = this.#valid.filter(({ hash }) => timingSafeEqual(given, hash))
    const [removed] = this.#removed.filter(({ hash }) => timingSafeEqual(given, hash))
    if (valid !== undefined) return { token: valid.token, isRemoved: false }
    return removed === undefined ? null : { token: removed.token, isRemoved: true }
  }

  /** Puts others in their place. A token whose holder or role has changed is removed and added. */
  replace(tokens: readonly ApiToken[]): {
    readonly added: readonly ApiToken[]
    readonly removed: readonly ApiToken[]
  } {
    const before = this.all
    const [was, is] = [before, tokens].map((list) => new Set(list.map(nameEntry)))
    const added = tokens.filter((token) => was?.has(nameEntry(token)) !== true)
    const removed = before.filter((token) => is?.has(nameEntry(token)) !== true)
    const hashes = new Set(tokens.map(({ sha256 }) => sha256))
    this.#valid = tokens.map(hold)
    this.#removed = [...this.#removed, ...removed.map(hold)]
      .filter(({ token }) => !hashes.has(token.sha256))
      .slice(-removedMax)
    return { added, removed }
  }
}

/** What a token is called where its holder's name is not enough: the first eight digits of its entry's hash. */
export function shortName(sha256: string): string {
  return sha256.slice(0, 8)
}

function hold(token: ApiToken): Held {
  return { token, hash: Buffer.from(token.sha256, 'hex') }
}

function nameEntry({ name, role, sha256 }: ApiToken): string {
  return `${name}:${role}:${sha256}`
}
