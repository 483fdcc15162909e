import type { Service } from '../service.ts'

export type GraphqlAnswer = {
  data: Record<string, unknown> | null
  errors?: { message: string; path?: (string | number)[]; extensions?: Record<string, unknown> }[]
}

/** Sends one operation over HTTP, as any client does. */
export async function graphql(
  { call }: Pick<Service, 'call'>,
  query: string,
  variables: Record<string, unknown> = {},
  headers: Record<string, string> = {},
): Promise<GraphqlAnswer> {
  const reply = await call('POST', '/graphql', {
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  })
  return JSON.parse(reply.text) as GraphqlAnswer
}

/** The data of an operation that is expected to succeed. */
export async function dataOf<Data>(...[service, ...rest]: Parameters<typeof graphql>): Promise<Data> {
  const answer = await graphql(service, ...rest)
  if (answer.errors !== undefined || answer.data === null) throw new Error(JSON.stringify(answer.errors))
  return answer.data as Data
}

/** The code and words of the one error of an operation that is expected to fail. */
export async function refusalOf(
  ...call: Parameters<typeof graphql>
): Promise<{ code: unknown; message: string }> {
  const { errors } = await graphql(...call)
  if (errors?.length !== 1) throw new Error(`one error was expected: ${JSON.stringify(errors)}`)
  return { code: errors[0]!.extensions?.code, message: errors[0]!.message }
}
