import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import { Kafka, logLevel, Partitioners } from 'kafkajs'
import t, { type Test } from 'tap'
import { frames } from '../../src/embedded/broker/frames.ts'
import { Reader, Writer } from '../../src/embedded/broker/wire.ts'
import { startBroker } from '../support/broker.ts'
import { until } from '../support/until.ts'

const broker = await startBroker(t)
const kafka = new Kafka({ brokers: broker.brokers, logLevel: logLevel.NOTHING })
const producer = kafka.producer({ createPartitioner: Partitioners.DefaultPartitioner })
const admin = kafka.admin()
await Promise.all([producer.connect(), admin.connect()])
t.teardown(() => Promise.all([producer.disconnect(), admin.disconnect()]))
await admin.createTopics({ topics: [{ topic: 'wire', numPartitions: 1 }] })

const fetchKey = 1
const listOffsetsKey = 2
const joinGroupKey = 11
const apiVersionsKey = 18

t.test('bytes that are no request end their connection, and the others go on', async (t) => {
  const hostile: [string, Buffer][] = [
    ['text', Buffer.from('GET / HTTP/1.1\r\n\r\n')],
    ['a negative length', Buffer.from([255, 255, 255, 255])],
    ['a length of 2 GB', Buffer.from([127, 255, 255, 255])],
    ['an empty frame', Buffer.alloc(4)],
    ['a request that nobody knows', request(999, 0)],
    ['a version that is too new', request(fetchKey, 99)],
    [
      'an array that is longer than its request',
      request(apiVersionsKey + 1, 2, (body) => body.int32(2 ** 31 - 1)),
    ],
    ['a string that ends past its request', request(3, 4, (body) => body.int32(1).int16(1000))],
    ['noise', request(0, 7, (body) => body.int64(-1).int64(77).int64(-9))],
  ]
  for (const [name, bytes] of hostile) {
    const socket = await open(t)
    socket.end(bytes)
    socket.resume()
    await once(socket, 'close')
    t.match(await producer.send({ topic: 'wire', messages: [{ value: name }] }), [{ errorCode: 0 }], name)
  }
})

t.test('half a request waits for its other half, and the other connections do not', async (t) => {
  const socket = await open(t)
  const bytes = request(apiVersionsKey, 0)
  socket.write(bytes.subarray(0, 6))
  t.match(await producer.send({ topic: 'wire', messages: [{ value: 'between' }] }), [{ errorCode: 0 }])
  socket.write(bytes.subarray(6))
  t.equal((await answerTo(socket)).int16(), 0)
})

t.test('requests that arrive in one piece are answered in their order', async (t) => {
  const socket = await open(t)
  socket.write(Buffer.concat([1, 2, 3].map((id) => request(apiVersionsKey, 0, () => undefined, id))))
  const ids: number[] = []
  for await (const frame of frames(socket)) {
    ids.push(frame.readInt32BE(0))
    if (ids.length === 3) break
  }
  t.same(ids, [1, 2, 3])
})

t.test('a client that asks in a newer version for the versions is told them in the oldest', async (t) => {
  const socket = await open(t)
  socket.write(request(apiVersionsKey, 99))
  const answer = await answerTo(socket)
  t.equal(answer.int16(), 35, 'UNSUPPORTED_VERSION')
  const apis = answer.array(() => [answer.int16(), answer.int16(), answer.int16()])
  t.ok(apis.some(([key, min, max]) => key === apiVersionsKey && min === 0 && max === 4))
})

t.test(
  'the clients of today ask for the versions in the flexible encoding, and are answered in it',
  async (t) => {
    for (const version of [3, 4]) {
      const socket = await open(t)
      socket.write(
        request(apiVersionsKey, version, (body) => body.tags().compactString('x').compactString('1').tags()),
      )
      const answer = await answerTo(socket)
      t.equal(answer.int16(), 0)
      const apis = answer.compactArray(() => {
        const api = [answer.int16(), answer.int16(), answer.int16()]
        answer.tags()
        return api
      })
      t.ok(apis.some(([key, min, max]) => key === apiVersionsKey && min === 0 && max === 4))
    }
  },
)

t.test('a static member is refused, and the log says why, instead of losing its place', async (t) => {
  const socket = await open(t)
  socket.write(
    request(joinGroupKey, 5, (body) => {
      body.string('fixed').int32(10_000).int32(10_000).string('').string('member-1').string('consumer')
      body.array(['range'], (name) => body.string(name).int32(0))
    }),
  )
  const answer = await answerTo(socket)
  answer.int32()
  t.equal(answer.int16(), 35, 'UNSUPPORTED_VERSION')
  await until('the sentence', () =>
    /group fixed: group\.instance\.id is member-1, .* no static members/.test(broker.errors),
  )
})

t.test('the record of the highest time is refused, and not the first one given for it', async (t) => {
  await admin.createTopics({ topics: [{ topic: 'times', numPartitions: 1 }] })
  await producer.send({ topic: 'times', messages: [{ value: 'a' }, { value: 'b' }] })
  const socket = await open(t)
  socket.write(
    request(listOffsetsKey, 1, (body) => {
      body.int32(-1).array(['times'], (topic) => {
        body.string(topic).array([-3], (time) => body.int32(0).int64(time))
      })
    }),
  )
  const answer = await answerTo(socket)
  const found = answer.array(() => {
    answer.string()
    return answer.array(() => [answer.int32(), answer.int16(), answer.int64(), answer.int64()])
  })
  t.same(found, [[[0, 35, -1, -1]]], 'UNSUPPORTED_VERSION, and no offset')
})

t.test(
  'a fetch says which partitions it cannot read, and where the readable ones begin and end',
  async (t) => {
    await admin.createTopics({ topics: [{ topic: 'read', numPartitions: 1 }] })
    await producer.send({ topic: 'read', messages: [{ value: 'a' }, { value: 'b' }] })
    await admin.fetchTopicOffsets('read')
    await admin.deleteTopicRecords({ topic: 'read', partitions: [{ partition: 0, offset: '1' }] })
    const outOfRange = { error: 1, highWatermark: 2, startOffset: 1, bytes: 0 }
    t.same(await fetch(t, 'read', 0, 0), outOfRange, 'below the start')
    t.same(await fetch(t, 'read', 0, 3), outOfRange, 'above the end')
    t.match(await fetch(t, 'read', 0, 1), { error: 0, highWatermark: 2, startOffset: 1 })
    t.same(
      await fetch(t, 'read', 0, 2),
      { error: 0, highWatermark: 2, startOffset: 1, bytes: 0 },
      'at the end',
    )
    t.match(await fetch(t, 'read', 1, 0), { error: 3 }, 'no such partition')
    t.match(await fetch(t, 'nowhere', 0, 0), { error: 3 }, 'no such topic')
  },
)

async function open(t: Test): Promise<Socket> {
  const socket = connect(broker.port, '127.0.0.1')
  // The broker may close while we still write.
  socket.on('error', () => undefined)
  t.teardown(() => socket.destroy())
  await once(socket, 'connect')
  return socket
}

/** A request frame is an answer's frame with the key and version where the correlation id stands. */
function request(
  key: number,
  version: number,
  write: (body: Writer) => unknown = () => undefined,
  id = 7,
): Buffer {
  const frame = new Writer(((key << 16) | version) >> 0)
  frame.int32(id).string('test')
  write(frame)
  return frame.frame()
}

async function answerTo(socket: Socket): Promise<Reader> {
  for await (const frame of frames(socket)) return new Reader(frame.subarray(4))
  throw new Error('the broker closed the connection')
}

async function fetch(t: Test, topic: string, partition: number, offset: number) {
  const socket = await open(t)
  socket.write(
    request(fetchKey, 5, (body) => {
      body.int32(-1).int32(0).int32(1).int32(1_000_000).int8(0)
      body.array([topic], () => {
        body
          .string(topic)
          .array([partition], () => body.int32(partition).int64(offset).int64(-1).int32(1_000_000))
      })
    }),
  )
  const answer = await answerTo(socket)
  answer.int32()
  const [found] = answer.array(() => {
    answer.string()
    return answer.array(() => {
      answer.int32()
      const error = answer.int16()
      const highWatermark = answer.int64()
      answer.int64()
      const startOffset = answer.int64()
      answer.int32()
      return { error, highWatermark, startOffset, bytes: answer.bytes().length }
    })
  })
  return found?.[0]
}
