/** What a JSON document has at a place. Of an array or an object only that it is there. */
export type JsonValue =
  { readonly kind: 'string' | 'number' | 'boolean'; readonly text: string } | { readonly kind: 'structure' }

/** The body of an answer, which may be JSON, read at JSON pointers (RFC 6901). */
export class JsonBody {
  readonly #text: string
  readonly #root: unknown

  constructor(text: string) {
    // Some servers begin with a byte order mark; RFC 8259 §8.1 lets a reader leave it out.
    this.#text = text.startsWith('\ufeff') ? text.slice(1) : text
    this.#root = parse(this.#text)
  }

  /**
   * What is at the pointer, a number in decimal digits; null if nothing is there, or null, or the body is no JSON. Integers of more digits
   * than a number of JavaScript holds come as they are written.
   */
  at(pointer: string): JsonValue | null {
    const value = follow(this.#root, pointer)
    if (value === undefined || value === null) return null
    if (typeof value === 'string') return { kind: 'string', text: value }
    if (typeof value === 'boolean') return { kind: 'boolean', text: String(value) }
    if (typeof value !== 'number') return { kind: 'structure' }
    return { kind: 'number', text: isExact(value) ? String(value) : this.#written(pointer) }
  }

  /** The number at the pointer as it is written: it is read as a string of its characters. */
  #written(pointer: string): string {
    const quoted = this.#text.replace(stringOrNumber, (token) =>
      token.startsWith('"') ? token : `"${token}"`,
    )
    return String(follow(parse(quoted), pointer))
  }
}

/** Outside of its strings, a JSON document has digits in numbers only. */
const stringOrNumber = /"[^"\\]*(?:\\.[^"\\]*)*"|-?\d[\d.eE+-]*/g

/** Whether a number of JavaScript is the one that was written. Only integers are asked for exactly. */
function isExact(value: number): boolean {
  return Number.isSafeInteger(value) || (Number.isFinite(value) && !Number.isInteger(value))
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

function follow(root: unknown, pointer: string): unknown {
  let found = root
  for (const part of pointer.split('/').slice(1)) {
    const name = part.replaceAll('~1', '/').replaceAll('~0', '~')
    if (typeof found !== 'object' || found === null || !hasPart(found, name)) return undefined
    found = (found as Record<string, unknown>)[name]
  }
  return found
}

/** An array has its elements only, by their numbers. */
function hasPart(value: object, name: string): boolean {
  return Object.hasOwn(value, name) && (!Array.isArray(value) || /^\d+$/.test(name))
}
