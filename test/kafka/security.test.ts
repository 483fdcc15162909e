import { createPrivateKey } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import type { KafkaOptions } from '../../src/kafka/connect.ts'
import { produce as produceTransactions } from '../../src/kafka/test-topic/produce.ts'
import { Tls } from '../../src/runtime/tls.ts'
import {
  countRecords,
  createTopic,
  names,
  produce,
  startConsumer,
  until,
  waitForLine,
  type TestConsumer,
} from '../ingest/harness.ts'
import { startApacheKafka } from '../support/apache-kafka.ts'
import { whyNoApacheKafka } from '../support/apache-kafka/missing.ts'
import { makeCertificates, type Pair } from '../support/certificates.ts'
import { database } from '../support/database.ts'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'

const missing = await whyNoApacheKafka()
if (missing !== false) t.plan(0, missing)
else await testSecurity()

async function testSecurity(): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-security-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  const certificates = makeCertificates(t)
  const { ca, client, stranger } = certificates
  const password = 'correct-horse-battery'
  const wrong = 'wrong-horse-battery'
  const kafka = await startApacheKafka(t, {
    listeners: { TLS: 'SSL', MUTUAL: 'SSL', ELSEWHERE: 'SSL', PLAIN: 'SASL_SSL', SCRAM: 'SASL_SSL' },
    properties: {
      'ssl.keystore.type': 'PEM',
      'ssl.keystore.location': await writeKeystore('server', certificates.server),
      'ssl.truststore.type': 'PEM',
      'ssl.truststore.location': await write('ca.pem', ca),
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.elsewhere.ssl.keystore.location': await writeKeystore(
        'elsewhere',
        certificates.otherHost,
      ),
      'listener.name.plain.sasl.enabled.mechanisms': 'PLAIN',
      'listener.name.plain.plain.sasl.jaas.config': `org.apache.kafka.common.security.plain.PlainLoginModule required user_alice="${password}";`,
      'listener.name.scram.sasl.enabled.mechanisms': 'SCRAM-SHA-256,SCRAM-SHA-512',
      ...Object.fromEntries(
        ['256', '512'].map((bits) => [
          `listener.name.scram.scram-sha-${bits}.sasl.jaas.config`,
          'org.apache.kafka.common.security.scram.ScramLoginModule required;',
        ]),
      ),
      'listener.name.scram.scram-sha-512.connections.max.reauth.ms': '5000',
    },
    formatArgs: ['256', '512'].flatMap((bits) => [
      '--add-scram',
      `SCRAM-SHA-${bits}=[name=alice,password=${password}]`,
    ]),
  })
  const trusting = new Tls(() => ({ ca, cert: null, key: null }))
  const showing = (pair: Pair) => new Tls(() => ({ ca, ...pair }))
  const alice = { username: 'alice', password }

  const ways: [string, string, Pick<KafkaOptions, 'tls' | 'sasl'>][] = [
    ['TLS with an authority of its own', 'TLS', { tls: trusting, sasl: null }],
    ['TLS with a client certificate', 'MUTUAL', { tls: showing(client), sasl: null }],
    ['SASL PLAIN', 'PLAIN', { tls: trusting, sasl: { mechanism: 'plain', ...alice } }],
    ['SASL SCRAM-SHA-256', 'SCRAM', { tls: trusting, sasl: { mechanism: 'scram-sha-256', ...alice } }],
    ['SASL SCRAM-SHA-512', 'SCRAM', { tls: trusting, sasl: { mechanism: 'scram-sha-512', ...alice } }],
  ]
  for (const [way, listener, security] of ways) {
    t.test(`records are read over ${way}, and no secret is logged`, async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, kafka.brokers, 2)
      await produce(topic, 0, names('a', 20))
      const consumer = startSecured(t, topic, pool, listener, security)
      await until(async () => (await countRecords(pool, topic.topic)) === 20)
      await until(() => consumer.health().up)
      isSecretFree(t, consumer)
    })
  }

  t.test('a broker that wants the login again every 5 s gets it, and nothing else happens', async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, kafka.brokers, 6)
    const consumer = startSecured(t, topic, pool, 'SCRAM', {
      tls: trusting,
      sasl: { mechanism: 'scram-sha-512', ...alice },
    })
    await until(() => consumer.health().up)
    const begunAt = performance.now()
    let slowestMs = 0
    for (let nth = 0; performance.now() - begunAt < 12_000; nth++) {
      const producedAt = performance.now()
      await produce(topic, nth % 6, [`tx-${nth}`])
      await until(async () => (await countRecords(pool, topic.topic)) === nth + 1)
      slowestMs = Math.max(slowestMs, performance.now() - producedAt)
    }
    t.ok(slowestMs < 3_000, `${Math.round(slowestMs)} ms`)
    const pauses = consumer.lines.filter(({ message }) => /^Pausing/.test(String(message)))
    t.equal(pauses.length, 1, 'at the join only: no partition is checked again for a login')
  })

  const refusals: [string, string, Pick<KafkaOptions, 'tls' | 'sasl'>, RegExp][] = [
    [
      'a broker whose authority is not known',
      'TLS',
      { tls: new Tls(() => ({ ca: null, cert: null, key: null })), sasl: null },
      /unable to verify the first certificate/,
    ],
    [
      'a broker with the certificate of another host',
      'ELSEWHERE',
      { tls: trusting, sasl: null },
      /does not match certificate's altnames/,
    ],
    ['no certificate where one is asked for', 'MUTUAL', { tls: trusting, sasl: null }, /TLS: .*alert/],
    [
      'a certificate that the broker does not trust',
      'MUTUAL',
      { tls: showing(stranger), sasl: null },
      /TLS: .*alert/,
    ],
    ['no TLS where there must be some', 'TLS', { tls: null, sasl: null }, /./],
    [
      'a wrong password with PLAIN',
      'PLAIN',
      { tls: trusting, sasl: { mechanism: 'plain', ...alice, password: wrong } },
      /SASL PLAIN authentication failed/,
    ],
    [
      'a wrong password with SCRAM-SHA-512',
      'SCRAM',
      { tls: trusting, sasl: { mechanism: 'scram-sha-512', ...alice, password: wrong } },
      /SASL SCRAM SHA512 authentication failed/,
    ],
    [
      'a mechanism that the broker does not offer',
      'SCRAM',
      { tls: trusting, sasl: { mechanism: 'plain', ...alice } },
      /does not support the requested SASL mechanism/,
    ],
  ]
  for (const [what, listener, security, sentence] of refusals) {
    t.test(`${what}: one sentence a try, again and again, and no secret`, async (t) => {
      const { pool } = await database(t)
      const topic = await createTopic(t, kafka.brokers, 1)
      const consumer = startSecured(t, topic, pool, listener, security)
      await waitForLine(consumer, 'waiting for Kafka', { failures: 2 })
      for (const line of consumer.lines.filter(({ event }) => event === 'waiting for Kafka')) {
        t.match(line.reason, sentence)
        t.notMatch(line.reason, /\n/, 'one sentence')
      }
      t.equal(consumer.lines.filter(({ event }) => event === 'consumer crashed').length, 0)
      t.match(consumer.health(), { up: false, state: 'starting', lastError: sentence })
      isSecretFree(t, consumer)
    })
  }

  t.test('a client certificate that is replaced on disk is shown from the next connection on', async (t) => {
    const { pool } = await database(t)
    const topic = await createTopic(t, kafka.brokers, 1)
    await produce(topic, 0, names('a', 5))
    const files = await Promise.all([write('shown.crt', stranger.cert), write('shown.key', stranger.key)])
    const tls = new Tls(() => {
      const [cert = '', key = ''] = files.map((path) => readFileSync(path, 'utf8'))
      return { ca, cert, key }
    })
    const consumer = startSecured(t, topic, pool, 'MUTUAL', { tls, sasl: null })
    await waitForLine(consumer, 'waiting for Kafka', { failures: 2 })
    await Promise.all([write('shown.crt', client.cert), write('shown.key', client.key)])
    await until(async () => (await countRecords(pool, topic.topic)) === 5)
  })

  t.test('the settings say it all: the whole service and npm run produce, over SASL_SSL', async (t) => {
    const line = await setUpLine(t, ['--success', '1'], { brokers: kafka.brokers })
    const address = kafka.addressOf('SCRAM')
    const service = await startReadyService(t, {
      ...line.settings,
      KAFKA_BROKER: address,
      KAFKA_SSL: 'true',
      KAFKA_CA: join(folder, 'ca.pem'),
      KAFKA_SASL_MECHANISM: 'SCRAM-SHA-512',
      KAFKA_SASL_USERNAME: 'alice',
      KAFKA_SASL_PASSWORD: password,
      LOG_LEVEL: 'debug',
    })
    const security = { tls: trusting, sasl: { mechanism: 'scram-sha-512' as const, ...alice } }
    const produced = await produceTransactions({
      brokers: [address],
      security,
      topic: line.topic,
      count: 100,
      rate: null,
      prefix: null,
      acksPath: line.acksPath,
    })
    t.match(produced, { acknowledged: 100, fault: null })
    t.match(await line.settled(100), { success: 100 })
    t.notMatch(JSON.stringify(service.log) + service.errors(), new RegExp(password))
    await line.isClean(t)
  })

  function startSecured(
    t: Parameters<typeof startConsumer>[0],
    topic: Parameters<typeof startConsumer>[1] & { groupId: string },
    pool: Parameters<typeof startConsumer>[2],
    listener: string,
    security: Pick<KafkaOptions, 'tls' | 'sasl'>,
  ): TestConsumer {
    const brokers = [kafka.addressOf(listener)]
    return startConsumer(
      t,
      topic,
      pool,
      { kafka: { brokers, topic: topic.topic, groupId: topic.groupId, ...security } },
      'debug',
    )
  }

  function isSecretFree(
    t: { notMatch: (found: string, pattern: RegExp) => unknown },
    { lines }: TestConsumer,
  ) {
    t.notMatch(JSON.stringify(lines), new RegExp(`${password}|${wrong}|PRIVATE KEY`))
  }

  /** Kafka wants the key as PKCS #8, before its certificate. */
  function writeKeystore(name: string, { key, cert }: Pair): Promise<string> {
    const pkcs8 = createPrivateKey(key).export({ type: 'pkcs8', format: 'pem' })
    return write(`${name}.pem`, `${String(pkcs8)}${cert}`)
  }

  async function write(name: string, text: string): Promise<string> {
    const path = join(folder, name)
    await writeFile(path, text)
    return path
  }
}
