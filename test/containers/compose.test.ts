import t from 'tap'
import { Compose, type ComposeService } from '../support/compose.ts'
import { whyNoContainers } from '../support/containers.ts'
import { until } from '../support/until.ts'

// An image is built, and each part starts three times.
t.setTimeout(900_000)

const skip = await whyNoContainers()

// Retries and take-overs in seconds; all else is as the file has it.
const settings = { BASE_DELAY: '0.2', MAX_DELAY: '2', DOWNSTREAM_TIMEOUT: '4', LEASE: '5' }

async function count(app: ComposeService): Promise<Record<string, number>> {
  return (await (await fetch(`${await app.urlOf(8000)}/metrics`)).json()) as Record<string, number>
}

async function settled(app: ComposeService, total: number): Promise<void> {
  await until(
    `${total} messages to be settled`,
    async () => {
      const { success = 0, dead_letter = 0, total: all } = await count(app)
      return all === total && success + dead_letter === total
    },
    240_000,
  )
}

t.test(
  'the compose file starts healthy, delivers, gets over a kill of each of its parts, drains, and finds its data again',
  { skip, timeout: 900_000 },
  async (t) => {
    const compose = new Compose(t, settings)
    await compose.build()
    let services = await compose.up()
    const part = (name: string): ComposeService => services[name]!
    let total = 0
    /** From the mock processor's container, which is of the same image: the service's own may be about to be killed. */
    const produce = async (number: number): Promise<void> => {
      const flags = ['--brokers', 'kafka:9092', '--count', String(number)]
      const { exitCode, output } = await part('mock_downstream').exec([
        ...['npm', 'run', '--silent', 'produce', '--'],
        ...flags,
      ])
      t.equal(exitCode, 0, exitCode === 0 ? `${number} produced` : output)
      total += number
    }
    const isClean = async (): Promise<void> => {
      const verify = ['npm', 'run', '--silent', 'verify', '--', '--ledger', '.data/mock-ledger.jsonl']
      const { exitCode, output } = await part('app').exec(verify)
      t.equal(exitCode, 0, exitCode === 0 ? 'verify finds nothing' : output)
    }
    await produce(200)
    await settled(part('app'), total)
    await isClean()

    for (const name of ['app', 'postgres', 'kafka']) {
      await produce(300)
      await part(name).kill()
      await part(name).start()
      await part(name).isHealthy()
      await produce(20)
      await part('app').isHealthy()
      await settled(part('app'), total)
      t.pass(`${name} was killed and is back`)
    }
    await isClean()
    const log = (await part('app').log()).trimEnd().split('\n')
    t.strictSame(
      log.filter((line) => !/^\{.*\}$/.test(line)),
      [],
      'its log is JSON alone',
    )

    const before = await count(part('app'))
    t.equal(await part('app').stop(30), 0, 'it drains')
    await compose.down()
    services = await compose.up()
    t.strictSame(await count(part('app')), before)
    await produce(20)
    await settled(part('app'), total)
    await isClean()
  },
)
