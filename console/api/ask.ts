import { endpoint } from './endpoint.ts'
import type { Operation } from './operations.ts'
import { credentials, refusedToken } from './session.ts'

export type Fault = {
  readonly message: string
  readonly extensions?: { readonly code?: string } & Readonly<Record<string, unknown>>
}

export type Answered<Result> = { readonly data: Result; readonly faults: readonly Fault[] }

// The API answers in milliseconds, or says within ten seconds that its database is away.
const waitMsMax = 20_000

/**
 * Asks the API one operation. Faults beside the data are the caller's: a part of an answer may be null for a reason.
 *
 * @throws one sentence for people where there is no data
 */
export async function ask<Result, Variables>(
  { name, text }: Operation<Result, Variables>,
  variables: Variables,
): Promise<Answered<Result>> {
  const response = await send(JSON.stringify({ operationName: name, query: text, variables }))
  const answer = await read(response)
  const [first] = answer.errors ?? []
  if (response.status === 401) refusedToken.value = first?.message ?? 'A token is needed.'
  if (!answer.data) throw new Error(first?.message ?? `The service answers ${response.status}.`)
  return { data: answer.data as Result, faults: answer.errors ?? [] }
}

async function send(body: string): Promise<Response> {
  try {
    return await fetch(endpoint, {
      method: 'POST',
      headers: { Accept: 'application/json', 'Content-Type': 'application/json', ...credentials() },
      body,
      signal: AbortSignal.timeout(waitMsMax),
    })
  } catch (error) {
    throw new Error('The service does not answer. Try again when it is back.', { cause: error })
  }
}

async function read(response: Response): Promise<{ data?: unknown; errors?: Fault[] }> {
  try {
    return (await response.json()) as { data?: unknown; errors?: Fault[] }
  } catch {
    throw new Error(`The service answers ${response.status} ${response.statusText}, and no data.`)
  }
}
