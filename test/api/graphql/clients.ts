import { ApolloClient, ApolloLink, gql, HttpLink, InMemoryCache } from '@apollo/client/core/index.js'
import { createPersistedQueryLink } from '@apollo/client/link/persisted-queries/index.js'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions/index.js'
import { Client as UrqlClient, fetchExchange } from '@urql/core'
import { OperationTypeNode } from 'graphql'
import { createClient as createSseClient } from 'graphql-sse'
import { GraphQLClient } from 'graphql-request'
import { createClient as createWsClient } from 'graphql-ws'
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createInterface } from 'node:readline'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { WebSocket } from 'ws'

type Variables = Record<string, unknown>
type Data = Record<string, unknown>
type Answer = {
  data?: Data | null | undefined
  errors?: readonly { message: string; extensions?: Record<string, unknown> }[] | undefined
}

/** What every program that asks can do, each as its own documents say. */
type ForeignClient = {
  ask(document: string, variables: Variables): Promise<Answer>
  /** Answers how to stop. */
  watch(document: string, variables: Variables, next: (data: Data) => void): () => void
}

/** @param url of GraphQL over HTTP */
type Connect = (url: string, token: string) => ForeignClient

export const clients: Readonly<Record<string, Connect>> = {
  fetch: (url, token) => {
    const send = (accept: string, body: object, signal?: AbortSignal) =>
      fetch(url, {
        method: 'POST',
        headers: { ...headersOf(token), accept, 'content-type': 'application/json' },
        body: JSON.stringify(body),
        ...(signal ? { signal } : {}),
      })
    return {
      ask: async (query, variables) =>
        (await (await send('application/graphql-response+json', { query, variables })).json()) as Answer,
      watch: (query, variables, next) => {
        const over = new AbortController()
        void send('text/event-stream', { query, variables }, over.signal)
          .then(({ body }) => readEvents(Readable.fromWeb(body as never), next))
          .catch(ignoreAbort(over.signal))
        return () => over.abort()
      },
    }
  },

  curl: (url, token) => {
    const start = (body: object, ...more: string[]) =>
      spawn('curl', [
        ...['-sN', url, '-H', 'content-type: application/json', '-H', `authorization: Bearer ${token}`],
        ...['-d', JSON.stringify(body), ...more],
      ])
    return {
      ask: async (query, variables) => JSON.parse(await text(start({ query, variables }).stdout)) as Answer,
      watch: (query, variables, next) => {
        const curl = start({ query, variables }, '-H', 'accept: text/event-stream')
        void readEvents(curl.stdout, next)
        return () => void curl.kill()
      },
    }
  },

  '@apollo/client': (url, token) => {
    const socket = connectSocket(url, token)
    // Both as Apollo's guides have them: hashes in place of documents, and subscriptions over graphql-ws.
    const persisted = createPersistedQueryLink({
      sha256: (document: string) => createHash('sha256').update(document).digest('hex'),
    })
    const client = new ApolloClient({
      link: ApolloLink.split(
        ({ query }) =>
          query.definitions.some(
            (each) => 'operation' in each && each.operation === OperationTypeNode.SUBSCRIPTION,
          ),
        new GraphQLWsLink(socket),
        persisted.concat(new HttpLink({ uri: url, headers: headersOf(token) })),
      ),
      cache: new InMemoryCache({
        possibleTypes: {
          Node: ['Message', 'Event'],
          ReplayRefusal: ['MessageNotFound', 'NotReplayable', 'IdempotencyKeyReused'],
          ReplayResult: ['Replayed', 'MessageNotFound', 'NotReplayable', 'IdempotencyKeyReused'],
        },
      }),
      defaultOptions: {
        query: { errorPolicy: 'all', fetchPolicy: 'network-only' },
        mutate: { errorPolicy: 'all' },
      },
    })
    return {
      ask: async (document, variables) => {
        const query = gql(document)
        const isMutation = document.startsWith('mutation')
        const result = isMutation
          ? await client.mutate<Data>({ mutation: query, variables })
          : await client.query<Data>({ query, variables })
        return result as Answer
      },
      watch: (document, variables, next) => {
        const stream = client.subscribe<Data>({ query: gql(document), variables })
        const subscription = stream.subscribe(({ data }) => data && next(data))
        return () => {
          subscription.unsubscribe()
          void socket.dispose()
        }
      },
    }
  },

  '@urql/core': (url, token) => {
    const client = new UrqlClient({
      url,
      exchanges: [fetchExchange],
      fetchOptions: { headers: headersOf(token) },
      fetchSubscriptions: true,
      preferGetMethod: false,
    })
    return {
      ask: async (document, variables) => {
        const isMutation = document.startsWith('mutation')
        const { data, error } = isMutation
          ? await client.mutation<Data>(document, variables).toPromise()
          : await client.query<Data>(document, variables).toPromise()
        return { data, errors: error?.graphQLErrors as Answer['errors'] }
      },
      watch: (document, variables, next) => {
        const stream = client.subscription<Data>(document, variables)
        const subscription = stream.subscribe(({ data }) => data && next(data))
        return () => subscription.unsubscribe()
      },
    }
  },

  'graphql-request': (url, token) => {
    const client = new GraphQLClient(url, { headers: headersOf(token), errorPolicy: 'all' })
    return {
      ask: async (document, variables) => await client.rawRequest<Data>(document, variables),
      // It has no subscriptions.
      watch: (...wanted) => clients['graphql-sse']!(url, token).watch(...wanted),
    }
  },

  'graphql-ws': (url, token) => overSink(connectSocket(url, token)),

  'graphql-sse': (url, token) =>
    overSink(createSseClient({ url, headers: headersOf(token), retryAttempts: 0 })),
}

function headersOf(token: string): Record<string, string> {
  return { authorization: `Bearer ${token}` }
}

function connectSocket(url: string, token: string) {
  return createWsClient({
    url: url.replace('http:', 'ws:'),
    webSocketImpl: WebSocket,
    connectionParams: { headers: { authorization: `Bearer ${token}` } },
    retryAttempts: 0,
  })
}

type Sink = {
  next: (answer: Answer) => void
  error: (error: unknown) => void
  complete: () => void
}
type SinkClient = { subscribe: (request: never, sink: never) => () => void; dispose: () => unknown }

function overSink(client: SinkClient): ForeignClient {
  const start = (request: object, sink: Sink) => client.subscribe(request as never, sink as never)
  return {
    ask: (query, variables) =>
      new Promise((resolve) => {
        let answer: Answer = {}
        start(
          { query, variables },
          {
            next: (value) => (answer = value),
            // What is wrong before there is an answer comes as a list of errors over a socket.
            error: (error) => resolve({ errors: error as Answer['errors'] }),
            complete: () => resolve(answer),
          },
        )
      }),
    watch: (query, variables, next) => {
      const stop = start(
        { query, variables },
        { next: ({ data }) => data && next(data), error: () => undefined, complete: () => undefined },
      )
      return () => {
        stop()
        client.dispose()
      }
    },
  }
}

async function readEvents(stream: Readable, next: (data: Data) => void): Promise<void> {
  for await (const line of createInterface({ input: stream })) {
    if (!line.startsWith('data: ')) continue
    const { data } = JSON.parse(line.slice('data: '.length)) as Answer
    if (data) next(data)
  }
}

function ignoreAbort(signal: AbortSignal) {
  return (error: unknown) => {
    if (!signal.aborted) throw error
  }
}
