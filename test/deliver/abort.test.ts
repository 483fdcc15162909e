import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'
import t from 'tap'
import { answer, send, startDeliverer, startProcessor, until } from './processor.ts'

t.test('abortAll ends every open request by what may have left, and starts no other', async (t) => {
  const processor = await startProcessor(t, (socket, { key }) => {
    if (key === 'half') socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n12')
    if (key === 'probe') socket.write(answer('200 OK'))
  })
  const deliverer = startDeliverer(t, processor.url, { connections: 3 })
  const open = ['half', 'silent'].map((key) => send(deliverer, key))
  await until(() => processor.requests.length === 2)
  // Asked after the half answer was written, so when it is answered the half answer has been read.
  await send(deliverer, 'probe')
  open.push(...['silent-too', 'waiting-1', 'waiting-2'].map((key) => send(deliverer, key)))
  await until(() => processor.requests.length === 4)
  deliverer.abortAll('drained')
  t.strictSame(await Promise.all(open), [
    { kind: 'unknown', statusCode: 200, reason: 'drained, sent, answer (HTTP 200) not complete' },
    { kind: 'unknown', statusCode: null, reason: 'drained, sent, no answer' },
    { kind: 'unknown', statusCode: null, reason: 'drained, sent, no answer' },
    { kind: 'not_sent', reason: 'drained, not sent' },
    { kind: 'not_sent', reason: 'drained, not sent' },
  ])
  t.strictSame(await send(deliverer, 'after'), { kind: 'not_sent', reason: 'drained, not sent' })
  await until(() => processor.sockets.size === 0)
  await deliverer.close()
  t.notMatch(processor.received(), /waiting|after/)
})

t.test('abortAll without an open request still ends the deliverer', async (t) => {
  const processor = await startProcessor(t, (socket) => socket.write(answer('200 OK')))
  const deliverer = startDeliverer(t, processor.url)
  t.match(await send(deliverer, 'before'), { kind: 'accepted' })
  deliverer.abortAll('drained')
  deliverer.abortAll('again')
  t.strictSame(await send(deliverer, 'after'), { kind: 'not_sent', reason: 'drained, not sent' })
  t.equal(processor.requests.length, 1)
})

t.test('close ends what is open, closes idle connections, and may be called twice', async (t) => {
  const processor = await startProcessor(t, (socket, { key }) => {
    if (key !== 'silent') socket.write(answer('200 OK'))
  })
  const deliverer = startDeliverer(t, processor.url)
  await Promise.all([send(deliverer, 'a'), send(deliverer, 'b')])
  const silent = send(deliverer, 'silent')
  await until(() => processor.requests.length === 3)
  await deliverer.close()
  t.strictSame(await silent, { kind: 'unknown', statusCode: null, reason: 'closed, sent, no answer' })
  await until(() => processor.sockets.size === 0)
  await deliverer.close()
  t.match(await send(deliverer), { kind: 'not_sent', reason: 'closed, not sent' })
})

t.test('close does not wait for a connection that is still being made', async (t) => {
  // Its TLS handshake is never answered, so it is connecting until the limit of 10 s.
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const deliverer = startDeliverer(t, new URL(`https://127.0.0.1:${port}/`))
  const connected = once(server, 'connection')
  const outcome = send(deliverer)
  await connected
  await deliverer.close()
  t.strictSame(await outcome, { kind: 'not_sent', reason: 'closed, not sent' })
  // The server can only close once the connection is gone.
  server.close()
  await once(server, 'close')
})
