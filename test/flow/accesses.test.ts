import { createHash } from 'node:crypto'
import { Agent, request } from 'node:http'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { readMetric, startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const token = 'token-that-is-secret'
const header = 'header-that-is-secret'
const wrongTokens = 10_000

/** Sends so many requests, each with another wrong token, 20 at a time; resolves with how many were answered 401. */
async function flood(url: string, count: number): Promise<number> {
  const agent = new Agent({ keepAlive: true, maxSockets: 20 })
  let refused = 0
  let next = 0
  const send = (at: number) =>
    new Promise<void>((resolve, reject) => {
      const asked = request(
        `${url}/transactions`,
        { agent, headers: { authorization: `Bearer wrong-${at}` } },
        (response) => {
          if (response.statusCode === 401) refused += 1
          response.resume().on('end', resolve)
        },
      )
      asked.on('error', reject).end()
    })
  const sendSome = async (): Promise<void> => {
    while (next < count) await send(next++)
  }
  await Promise.all(Array.from({ length: 20 }, sendSome))
  agent.destroy()
  return refused
}

t.test(
  'ten thousand wrong tokens leave few rows while payments go on, and no row holds a secret',
  async (t) => {
    const line = await setUpLine(t)
    const tokensFile = join(t.testdir(), 'tokens')
    writeFileSync(tokensFile, `alice:operator:${sha256(token)}\n`)
    const settings = {
      ...line.settings,
      API_TOKENS_FILE: tokensFile,
      DOWNSTREAM_HEADERS: JSON.stringify({ Authorization: header }),
    }
    const first = await startReadyService(t, settings)
    const [answered] = await Promise.all([flood(first.url, wrongTokens), line.produce(200, 100)])
    t.equal(answered, wrongTokens, 'each is refused')
    await line.settled(200)
    t.equal(await readMetric(first, 'tqp_logins_refused_total\\{reason="unknown_token"\\}'), wrongTokens)
    first.kill('SIGTERM')
    t.equal(await first.ended, 0)
    const { rows: refused } = await line.pool.query<{ amount: string }>(
      `select amount from accesses where kind = 'login_refused'`,
    )
    t.equal(
      refused.reduce((sum, { amount }) => sum + Number(amount), 0),
      wrongTokens,
      'each is counted',
    )
    t.ok(refused.length <= 20, `${refused.length} rows, one a minute`)

    const second = await startReadyService(t, settings)
    second.kill('SIGTERM')
    await second.ended
    const changed = {
      ...settings,
      MAX_RETRIES: '7',
      DOWNSTREAM_HEADERS: JSON.stringify({ Authorization: `${header}-2` }),
    }
    const third = await startReadyService(t, changed)
    await until('the third start', async () => (await readStarts()).length === 3)
    async function readStarts() {
      const { rows } = await line.pool.query<{
        details: { changed: string[] | null; settings: Record<string, string>; release: string }
      }>(`select details from accesses where kind = 'service_started' order by access`)
      return rows.map(({ details }) => details)
    }
    const starts = await readStarts()
    t.strictSame(
      starts.map((start) => start.changed?.filter((name) => name !== 'PORT')),
      [undefined, [], ['DOWNSTREAM_HEADERS', 'MAX_RETRIES']],
      'which settings have changed since the start before',
    )
    t.ok(Object.values(starts[2]!.settings).every((hash) => /^[0-9a-f]{12}$/.test(hash)))
    const { rows: all } = await line.pool.query<{ text: string }>('select a::text as text from accesses a')
    const text = all.map((row) => row.text).join('\n')
    const password = new URL(line.settings.DATABASE_URL!).password
    for (const secret of [
      token,
      sha256(token),
      header,
      ...(password === '' ? [] : [`:${password}@`]),
      line.settings.DATABASE_URL!,
    ])
      t.notOk(text.includes(secret), 'no secret')
    const verified = await line.verify()
    t.equal(verified.code, 0, verified.output)
    third.kill('SIGTERM')
    await third.ended
  },
)
