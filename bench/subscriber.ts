import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { WebSocket } from 'ws'

export type Transport = 'sse' | 'ws'

/** What one has got: how many events, and their ids folded to a number that tells different sets of them apart. */
export type Subscriber = {
  seen: number
  sum: number
  /** Of the error that ended it; `closed` if its connection was ended without one. */
  code: string | null
  /** Has a slow one read from now on. */
  resume(): void
}

const query =
  'subscription { messageEvents(positionsEverySeconds: 60) { cursor node { id transactionId type status recordedAt actor } } }'
// As many bytes as a document may ask for, so that a line that nobody reads from is soon full.
const aliases = Array.from({ length: 48 }, (_, at) => `cursor${at}: cursor`).join(' ')
const fatQuery = `subscription { messageEvents(positionsEverySeconds: 60) { ${aliases} node { id } } }`

/** Follows the whole log over a connection of its own; a slow one reads the first delivery, and then nothing any more. */
export async function subscribe(url: string, transport: Transport, isSlow: boolean): Promise<Subscriber> {
  const subscriber: Subscriber = { seen: 0, sum: 0, code: null, resume: () => undefined }
  if (transport === 'sse') await subscribeSse(url, subscriber, isSlow)
  else await subscribeSocket(url, subscriber, isSlow)
  return subscriber
}

async function subscribeSse(url: string, subscriber: Subscriber, isSlow: boolean): Promise<void> {
  const call = request(`${url}/graphql`, {
    method: 'POST',
    agent: false,
    headers: { Accept: 'text/event-stream', 'Content-Type': 'application/json' },
  })
  call.on('error', () => undefined)
  call.end(JSON.stringify({ query: isSlow ? fatQuery : query }))
  const [response] = (await once(call, 'response')) as [IncomingMessage]
  response.on('error', () => undefined)
  response.on('close', () => (subscriber.code ??= 'closed'))
  let rest = ''
  await new Promise<void>((resolve) => {
    response.setEncoding('latin1').on('data', (text: string) => {
      // The first delivery says where the subscription begins; before it only comments come.
      if (text.includes('data: ')) resolve()
      const end = text.lastIndexOf('\n')
      count(rest + text.slice(0, end + 1), subscriber)
      rest = end === -1 ? rest + text : text.slice(end + 1)
    })
  })
  if (isSlow) response.pause()
  subscriber.resume = () => response.resume()
}

async function subscribeSocket(url: string, subscriber: Subscriber, isSlow: boolean): Promise<void> {
  const socket = new WebSocket(`${url.replace('http', 'ws')}/graphql`, 'graphql-transport-ws')
  socket.on('error', () => undefined)
  socket.on('close', () => (subscriber.code ??= 'closed'))
  await once(socket, 'open')
  socket.send('{"type":"connection_init"}')
  await once(socket, 'message')
  socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query: isSlow ? fatQuery : query } }))
  await once(socket, 'message')
  if (isSlow) socket.pause()
  subscriber.resume = () => socket.resume()
  socket.on('message', (data: Buffer) => count(data.toString('latin1'), subscriber))
}

function count(text: string, subscriber: Subscriber): void {
  subscriber.code ??= /"code":"(\w+)"/.exec(text)?.[1] ?? null
  for (const [, message, version] of text.matchAll(/"id":"(\d+):(\d+)"/g)) {
    subscriber.seen += 1
    // In double precision the order matters, and all get their events in the same one.
    subscriber.sum = (subscriber.sum * 31 + Number(message) * 1_000 + Number(version)) % 1_000_003_000_001
  }
}
