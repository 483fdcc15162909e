import { createRequire } from 'node:module'

/** What the parser calls while it reads, each with places in its input. Not 0: the parser stops with that number. */
export type ParserCallbacks = {
  onMessageBegin(): number
  onStatus(length: number): number
  onHeaderField(from: number, length: number): number
  onHeaderValue(from: number, length: number): number
  onHeadersComplete(statusCode: number, upgrade: boolean, keepAlive: boolean): number
  onBody(from: number, length: number): number
  onMessageComplete(): number
}

/** The exports of undici's build of llhttp that are used here. Pointers and sizes are numbers of bytes. */
type Exports = {
  memory: { readonly buffer: ArrayBuffer }
  malloc(size: number): number
  llhttp_alloc(type: number): number
  llhttp_free(parser: number): void
  llhttp_reset(parser: number): void
  llhttp_execute(parser: number, data: number, length: number): number
  llhttp_finish(parser: number): number
  llhttp_get_error_pos(parser: number): number
  llhttp_get_error_reason(parser: number): number
}

/** What Node has and its types leave out. */
type WebAssembly = {
  Module: new (code: Uint8Array) => object
  Instance: new (
    module: object,
    imports: { env: Record<string, (...given: number[]) => number> },
  ) => {
    exports: unknown
  }
}

/** llhttp's numbers for its results (undici/lib/llhttp/constants.js). */
export const parsed = {
  ok: 0,
  unexpectedContentLength: 4,
  invalidHeaderToken: 10,
  invalidContentLength: 11,
  invalidTransferEncoding: 15,
  paused: 21,
  pausedUpgrade: 22,
  user: 24,
} as const

/** For `onHeadersComplete`: this message has no body. */
export const noBody = 1

/** The longest input of one call, in bytes. */
export const inputMaxBytes = 64 * 1024

const responseType = 2
const { Module, Instance } = (globalThis as unknown as { WebAssembly: WebAssembly }).WebAssembly

// One parser runs at a time: it runs to its end within one call, and no callback may call another.
let running: ParserCallbacks | null = null
const { exports: llhttp, input } = start()
let memory = new Uint8Array(llhttp.memory.buffer)

/** A new parser of answers, strict in everything. Its owner frees it. */
export function allocate(): number {
  return llhttp.llhttp_alloc(responseType)
}

export function free(parser: number): void {
  llhttp.llhttp_free(parser)
}

/** The parser expects a new answer. */
export function reset(parser: number): void {
  llhttp.llhttp_reset(parser)
}

/** Reads the first `length` bytes, at most `inputMaxBytes`, and answers llhttp's result. */
export function execute(
  parser: number,
  callbacks: ParserCallbacks,
  bytes: Uint8Array,
  length: number,
): number {
  // A memory that has grown has a new buffer, and the old one is empty.
  if (memory.length === 0) memory = new Uint8Array(llhttp.memory.buffer)
  memory.set(length === bytes.length ? bytes : bytes.subarray(0, length), input)
  return run(callbacks, () => llhttp.llhttp_execute(parser, input, length))
}

/** Tells the parser that the connection has ended. */
export function finish(parser: number, callbacks: ParserCallbacks): number {
  return run(callbacks, () => llhttp.llhttp_finish(parser))
}

/** How many bytes of the last input were read before the parser stopped. */
export function stoppedAt(parser: number): number {
  return llhttp.llhttp_get_error_pos(parser) - input
}

/** llhttp's constant text about its last error, such as `Invalid character in chunk size`. */
export function reasonOfError(parser: number): string | null {
  const from = llhttp.llhttp_get_error_reason(parser)
  if (from === 0) return null
  const bytes = Buffer.from(llhttp.memory.buffer)
  return bytes.toString('latin1', from, bytes.indexOf(0, from))
}

function run(callbacks: ParserCallbacks, call: () => number): number {
  if (running !== null) throw new Error('a callback of the HTTP parser has called the HTTP parser')
  running = callbacks
  try {
    return call()
  } finally {
    running = null
  }
}

/**
 * undici carries llhttp as WebAssembly, with and without SIMD, and Node itself is built with the same parser.
 * undici has no public name for it: this depends on the exact pin.
 */
function start(): { exports: Exports; input: number } {
  const load = createRequire(import.meta.url)
  const { exports } = new Instance(compile(load), {
    env: {
      wasm_on_url: () => 0,
      wasm_on_message_begin: () => current().onMessageBegin(),
      wasm_on_status: (_parser, _at, length) => current().onStatus(length),
      wasm_on_header_field: (_parser, at, length) => current().onHeaderField(at - input, length),
      wasm_on_header_value: (_parser, at, length) => current().onHeaderValue(at - input, length),
      wasm_on_headers_complete: (_parser, statusCode, upgrade, keepAlive) =>
        current().onHeadersComplete(statusCode, upgrade === 1, keepAlive === 1),
      wasm_on_body: (_parser, at, length) => current().onBody(at - input, length),
      wasm_on_message_complete: () => current().onMessageComplete(),
    },
  })
  const parser = exports as Exports
  return { exports: parser, input: parser.malloc(inputMaxBytes) }
}

function compile(load: NodeJS.Require): object {
  try {
    return new Module(load('undici/lib/llhttp/llhttp_simd-wasm.js') as Buffer)
  } catch {
    // A processor without SIMD.
    return new Module(load('undici/lib/llhttp/llhttp-wasm.js') as Buffer)
  }
}

function current(): ParserCallbacks {
  if (running === null) throw new Error('the HTTP parser has called back on its own')
  return running
}
