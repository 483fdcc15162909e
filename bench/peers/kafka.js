import { createHash } from 'node:crypto'
import { Kafka, logLevel } from 'kafkajs'
import { Agent, request } from 'undici'

// What both peers share: the way from Kafka, and the way to the processor.

const settings = process.env

/** Open requests at once, as many as the service is told. */
export const concurrent = Number(settings.MAX_CONCURRENT)
export const databaseUrl = settings.DATABASE_URL

const agent = new Agent({ connections: concurrent, pipelining: 1 })

/** One attempt, with the key that the service sends too. Throws unless it was accepted, so that the queue tries again. */
export async function deliver(body) {
  const { transaction_id: id } = JSON.parse(body)
  const answer = await request(settings.DOWNSTREAM_URL, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': keyOf(id) },
    body,
    dispatcher: agent,
  })
  await answer.body.dump()
  if (answer.statusCode >= 300) throw new Error(`the processor answered ${answer.statusCode}`)
}

/**
 * Hands each fetched batch of a partition to `enqueue` and commits its offset only then, so that no record is lost. As kafkajs'
 * documentation has it for batches: the offset is resolved when the batch is stored, and kafkajs commits it.
 */
export async function consume(enqueue) {
  const kafka = new Kafka({ brokers: settings.KAFKA_BROKER.split(','), logLevel: logLevel.ERROR })
  const consumer = kafka.consumer({ groupId: settings.KAFKA_GROUP_ID })
  const joined = new Promise((resolve) => consumer.on(consumer.events.GROUP_JOIN, resolve))
  await consumer.connect()
  await consumer.subscribe({ topic: settings.KAFKA_TOPIC, fromBeginning: true })
  await consumer.run({
    partitionsConsumedConcurrently: 3,
    eachBatchAutoResolve: false,
    eachBatch: async ({ batch, resolveOffset, heartbeat, isRunning, isStale }) => {
      for (let from = 0; from < batch.messages.length && isRunning() && !isStale(); from += 500) {
        const slice = batch.messages.slice(from, from + 500)
        await enqueue(slice.map(({ value }) => value.toString()))
        resolveOffset(slice.at(-1).offset)
        await heartbeat()
      }
    },
  })
  await joined
  return () => consumer.disconnect()
}

/** Says that it reads, and waits to be told to end. */
export async function untilTold() {
  const told = new Promise((resolve) => process.once('SIGTERM', resolve))
  process.stdout.write('ready\n')
  await told
}

function keyOf(id) {
  const alphabet = 'abcdefghijklmnopqrstuvwxyz234567'
  let [bits, value, key] = [0, 0, '']
  for (const byte of createHash('sha256').update(id).digest()) {
    value = ((value << 8) | byte) & 0xfff
    for (bits += 8; bits >= 5; bits -= 5) key += alphabet[(value >> (bits - 5)) & 31]
  }
  return key.slice(0, 32)
}
