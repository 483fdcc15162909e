import type { Reply, Service } from '../service.ts'

export type GraphReply = Reply & {
  body: {
    data?: unknown
    errors?: { message: string; path?: unknown; extensions: Record<string, unknown> }[]
  }
}

/** Sends one operation as a client of the GraphQL API does. */
export async function askGraphql(
  { call }: Pick<Service, 'call'>,
  query: string,
  { variables = {}, headers = {} }: { variables?: object; headers?: Record<string, string> } = {},
): Promise<GraphReply> {
  const reply = await call('POST', '/graphql', {
    headers: { 'content-type': 'application/json', accept: 'application/json', ...headers },
    body: JSON.stringify({ query, variables }),
  })
  return { ...reply, body: JSON.parse(reply.text) as GraphReply['body'] }
}
