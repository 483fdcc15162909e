import { endpoint } from './endpoint.ts'
import type { Operation } from './operations.ts'
import { credentials, refusedToken } from './session.ts'

export type Fault = {
  readonly message: string
  /** The field that is null because of it, from the top of the data. */
  readonly path?: readonly (string | number)[] | undefined
  readonly extensions?: { readonly code?: string } & Readonly<Record<string, unknown>>
}

export type Answered<Result> = { readonly data: Result; readonly faults: readonly Fault[] }

/** The service answered that it will not do this. However often it is asked, it answers the same. */
export class Refused extends Error {}

const refusals = ['BAD_USER_INPUT', 'CURSOR_INVALID', 'FORBIDDEN']

/** Whether asking the same again is of no use. */
export function isRefusal({ extensions }: Fault): boolean {
  return refusals.includes(extensions?.code ?? '')
}

// The API answers in milliseconds, or says within ten seconds that its database is away.
const waitMsMax = 20_000

/**
 * Asks the API one operation. A field that is null because of a fault looks as one that is null because there is nothing, so a fault
 * is thrown.
 *
 * @param expects says of which faults the caller makes something himself; none by default
 * @throws one sentence for people where there is no data, or a fault that the caller does not expect; Refused where asking again is of no use
 */
export async function ask<Result, Variables>(
  { name, text }: Operation<Result, Variables>,
  variables: Variables,
  expects: (fault: Fault) => boolean = () => false,
): Promise<Answered<Result>> {
  const response = await send(JSON.stringify({ operationName: name, query: text, variables }))
  const { data, errors: faults = [] } = await read(response)
  if (response.status === 401) refusedToken.value = faults[0]?.message ?? 'A token is needed.'
  const unexpected = data ? faults.find((fault) => !expects(fault)) : faults[0]
  if (unexpected !== undefined) {
    throw isRefusal(unexpected) ? new Refused(unexpected.message) : new Error(unexpected.message)
  }
  if (!data) throw new Error(`The service answers ${response.status}.`)
  return { data: data as Result, faults }
}

/** The id is known, and what it names is in an archive. */
export function isArchived({ extensions }: Fault): boolean {
  return extensions?.code === 'ARCHIVED'
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
