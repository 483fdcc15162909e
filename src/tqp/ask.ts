import { createClient } from 'graphql-sse'
import { endpointForTqp } from '../config.ts'
import { reasonOf } from '../runtime/reason-of.ts'

/** The service said no: the message is its sentence. */
export class Refused extends Error {
  /** The code of the refusal, where the service gave one. */
  readonly code: string | null

  constructor(sentence: string, code: string | null = null) {
    super(sentence)
    this.code = code
  }
}

/** The service could not be asked. The message is one sentence. */
export class OutOfReach extends Error {
  /** The code of the answer, where the service gave one. */
  readonly code: string | null

  constructor(sentence: string, { cause, code = null }: { cause?: unknown; code?: string | null } = {}) {
    super(sentence, { cause })
    this.code = code
  }
}

type Variables = Readonly<Record<string, unknown>>

type Answer = {
  readonly data?: unknown
  readonly errors?: readonly { readonly message: string; readonly extensions?: { readonly code?: string } }[]
}

// What another try may do better; everything else is the service's last word.
const passing = new Set([
  'DATABASE_UNAVAILABLE',
  'DRAINING',
  'TIMEOUT',
  'SLOW_CONSUMER',
  'INTERNAL_SERVER_ERROR',
])

const answerMsMax = 60_000
// The service writes a comment every 12 s into a stream that has nothing to tell.
const silenceMsMax = 25_000

/** A token is never a flag, because everybody on the machine could read it then. */
function readEndpoint(): { url: string; headers: Record<string, string> } {
  const { url, token } = endpointForTqp()
  const base = url ?? 'http://localhost:8000'
  if (!URL.canParse(base) || !/^https?:/i.test(base))
    throw new OutOfReach(`TQP_URL must be a URL like http://localhost:8000, not ${JSON.stringify(base)}.`)
  return {
    url: `${base.replace(/\/+$/, '')}/graphql`,
    headers: token === null ? {} : { authorization: `Bearer ${token}` },
  }
}

/**
 * Asks the service one operation.
 *
 * @returns the answer's data
 * @throws Refused, OutOfReach
 */
export async function ask<Data>(query: string, variables: Variables = {}): Promise<Data> {
  const { url, headers } = readEndpoint()
  let response: Response
  let text: string
  try {
    response = await fetch(url, {
      method: 'POST',
      headers: {
        ...headers,
        'content-type': 'application/json',
        accept: 'application/graphql-response+json',
      },
      body: JSON.stringify({ query, variables }),
      signal: AbortSignal.timeout(answerMsMax),
    })
    text = await response.text()
  } catch (error) {
    throw unreachable(url, error)
  }
  return readAnswer(parse(text), `${url} answered with HTTP ${response.status}`) as Data
}

/**
 * Asks for something that changes what is recorded. If the answer is lost, it may have been recorded, and the sentence says so.
 *
 * @param what it is about; null where the place to look says so
 * @param look the command that shows whether it was recorded
 * @throws Refused, OutOfReach
 */
export async function change<Data>(
  query: string,
  variables: Variables,
  what: string | null,
  look: string,
): Promise<Data> {
  try {
    return await ask<Data>(query, variables)
  } catch (error) {
    if (!(error instanceof OutOfReach)) throw error
    const about = what === null ? '' : ` for ${what}`
    throw new OutOfReach(
      `${error.message} It may have been recorded${about} all the same: look with ${look}.`,
      {
        cause: error,
      },
    )
  }
}

/**
 * Follows a subscription until it ends, once: who wants to go on after a break asks again, from where it was. A way that died without a
 * word has broken too: even where nothing happens, something comes.
 *
 * @throws Refused, OutOfReach
 */
export async function* follow<Data>(query: string, variables: Variables): AsyncGenerator<Data> {
  const { url, headers } = readEndpoint()
  const silence = new AbortController()
  const timer = setTimeout(
    () => silence.abort(new Error(`nothing has come for ${silenceMsMax / 1_000} s`)),
    silenceMsMax,
  )
  const heard = new TransformStream<Uint8Array, Uint8Array>({
    transform: (bytes, controller) => {
      timer.refresh()
      controller.enqueue(bytes)
    },
  })
  const client = createClient({
    url,
    headers,
    retryAttempts: 0,
    fetchFn: async (input: string, init: RequestInit) => {
      const response = await fetch(input, {
        ...init,
        signal: AbortSignal.any([silence.signal, ...(init.signal ? [init.signal] : [])]),
      })
      const { status, statusText, headers: told, body } = response
      return new Response(body?.pipeThrough(heard) ?? null, { status, statusText, headers: told })
    },
  })
  try {
    for await (const answer of client.iterate({ query, variables }))
      yield readAnswer(answer as Answer, `${url} answered with something that is not GraphQL`) as Data
  } catch (error) {
    if (error instanceof Refused || error instanceof OutOfReach) throw error
    const response = responseOf(error)
    if (response === null) throw unreachable(url, error)
    // The service says why, as to any other request.
    readAnswer(parse(await response.text().catch(() => '')), `${url} answered with HTTP ${response.status}`)
    throw unreachable(url, error)
  } finally {
    clearTimeout(timer)
    client.dispose()
  }
}

/** Returns the answer's data. */
function readAnswer(answer: Answer | null, otherwise: string): unknown {
  const [error] = answer?.errors ?? []
  if (error !== undefined) {
    const { code } = error.extensions ?? {}
    if (code === 'UNAUTHENTICATED' && error.message.startsWith('A token is needed'))
      throw new Refused(
        endpointForTqp().token === null
          ? 'The service does not know you: put your token in TQP_TOKEN.'
          : 'The service does not know the token in TQP_TOKEN.',
      )
    throw code !== undefined && passing.has(code)
      ? new OutOfReach(error.message, { code })
      : new Refused(error.message, code)
  }
  if (answer?.data === undefined || answer.data === null)
    throw new OutOfReach(`${otherwise}: is TQP_URL right?`)
  return answer.data
}

function parse(text: string): Answer | null {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' ? value : null
  } catch {
    return null
  }
}

/** The answer that was no stream, as graphql-sse tells it. */
function responseOf(error: unknown): Response | null {
  const { response } = error as { response?: unknown }
  return response instanceof Response ? response : null
}

function unreachable(url: string, error: unknown): OutOfReach {
  const cause = error instanceof Error && error.cause !== undefined ? error.cause : error
  return new OutOfReach(`Could not reach ${url}: ${reasonOf(cause)}. TQP_URL says where the service is.`, {
    cause: error,
  })
}
