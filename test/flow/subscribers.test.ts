import { createClient, type Client } from 'graphql-sse'
import t, { type Test } from 'tap'
import { setUpLine, type Line } from '../support/line.ts'
import { startReadyService, type Service } from '../support/service.ts'
import { until } from '../support/until.ts'

type Answer = {
  data?: { messageEvents: { cursor: string; node: { id: string } | null } } | null
  errors?: readonly { extensions?: { code?: string } }[]
}

const query = `subscription ($after: String) {
  messageEvents(after: $after, positionsEverySeconds: 1) { cursor node { id } }
}`

/** One who follows the log, whatever becomes of the connection, and remembers only the last cursor. */
class Follower {
  readonly seen: string[] = []
  readonly codes: unknown[] = []
  cursor: string | null = null
  lives = 0

  /** Follows until it has seen `untilSeen` events, is left at will, or the stream ends. */
  async follow(service: Pick<Service, 'url'>, isDone: () => boolean): Promise<void> {
    const client: Client = createClient({ url: `${service.url}/graphql`, retryAttempts: 0 })
    this.lives += 1
    try {
      const answers = client.iterate({ query, variables: { after: this.cursor } }) as AsyncIterable<Answer>
      for await (const { data, errors } of answers) {
        for (const error of errors ?? []) this.codes.push(error.extensions?.code)
        if (!data) continue
        this.cursor = data.messageEvents.cursor
        if (data.messageEvents.node !== null) this.seen.push(data.messageEvents.node.id)
        if (isDone()) break
      }
    } catch {
      // The connection broke; the next life begins where this one stopped.
    } finally {
      client.dispose()
    }
  }

  async sawAll(t: Test, line: Line): Promise<void> {
    const { rows } = await line.pool.query<{ id: string }>(
      `select message_id || ':' || version as id from message_events order by message_id, version`,
    )
    t.equal(new Set(this.seen).size, this.seen.length, 'nothing twice')
    t.strictSame([...this.seen].sort(), rows.map(({ id }) => id).sort(), 'nothing missing')
    const last = new Map<string, number>()
    const inOrder = this.seen.every((id) => {
      const [message = '', version = ''] = id.split(':')
      const before = last.get(message) ?? 0
      last.set(message, Number(version))
      return Number(version) === before + 1
    })
    t.ok(inOrder, 'in version order for each message')
  }
}

t.test(
  'a subscriber that goes on after its last cursor sees every event once, across ends of the service of both kinds',
  async (t) => {
    const line = await setUpLine(t, ['--success', '0.8'])
    const settings = { ...line.settings, MAX_RETRIES: '2' }
    let service = await startReadyService(t, settings)
    const follower = new Follower()
    await follower.follow(service, () => true)
    const messages = 1_500
    let expected = Infinity
    const following = (async () => {
      while (follower.seen.length < expected) {
        await until('it to answer', async () => (await fetch(`${service.url}/healthz`)).ok)
        const stopAt = follower.seen.length + 200
        await follower.follow(service, () => follower.seen.length >= Math.min(stopAt, expected))
      }
    })()
    await line.produce(messages / 3)
    await until('some events', () => follower.seen.length > 100)
    service.kill('SIGKILL')
    await service.ended
    service = await startReadyService(t, settings)
    await line.produce(messages / 3)
    await until('some more events', () => follower.seen.length > messages)
    service.kill('SIGTERM')
    t.equal(await service.ended, 0, 'with a subscriber it ends as it does without')
    service = await startReadyService(t, settings)
    await line.produce(messages / 3)
    await line.settled(messages)
    expected = (await line.pool.query('select 1 from message_events')).rowCount ?? 0
    await following
    t.comment(`${follower.lives} lives, ${follower.seen.length} events`)
    await follower.sawAll(t, line)
  },
)

t.test('events that a foreign transaction holds back come within a second of its end', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, line.settings)
  const follower = new Follower()
  const foreign = await line.pool.connect()
  await foreign.query('begin')
  await foreign.query('create table of_somebody_else ()')
  const following = follower.follow(service, () => follower.seen.length === 300)
  await until('the first place', () => follower.cursor !== null)
  await line.produce(100)
  await line.settled(100)
  t.equal(follower.seen.length, 0, 'they wait')
  await foreign.query('commit')
  const endedAt = performance.now()
  foreign.release()
  await following
  t.comment(`all came within ${Math.round(performance.now() - endedAt)} ms`)
  await follower.sawAll(t, line)
})

t.test(
  'SIGTERM tells subscribers to come again, and ends in time although one of them never reads',
  async (t) => {
    const line = await setUpLine(t, ['--success', '1'])
    const service = await startReadyService(t, line.settings)
    const follower = new Follower()
    const following = follower.follow(service, () => false)
    await until('the first place', () => follower.cursor !== null)
    const deaf = await fetch(`${service.url}/graphql`, {
      method: 'POST',
      headers: { Accept: 'text/event-stream', 'Content-Type': 'application/json' },
      body: JSON.stringify({ query }),
    })
    service.kill('SIGTERM')
    t.equal(await service.ended, 0)
    await following
    t.strictSame(follower.codes, ['DRAINING'])
    t.notOk(service.log.some(({ event }) => event === 'stopped before the drain ended'))
    await deaf.body?.cancel().catch(() => undefined)
  },
)
