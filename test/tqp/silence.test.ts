import t from 'tap'
import { startService, store } from '../api/service.ts'
import { database } from '../support/database.ts'
import { startProxy } from '../support/proxy.ts'
import { until } from '../support/until.ts'
import { start } from './tqp.ts'

t.test(
  'a way that died without a word is told, also where nothing happens, and another one is taken',
  async (t) => {
    const { pool } = await database(t)
    const service = await startService(t, pool)
    await store(pool, ['waits-1'])
    const proxy = await startProxy(t, { host: '127.0.0.1', port: service.port })
    const child = start({ url: `http://127.0.0.1:${proxy.port}` }, 'watch', 'waits-1')
    t.teardown(() => child.kill('SIGKILL'))
    let output = ''
    let errors = ''
    child.stdout!.setEncoding('utf8').on('data', (text: string) => (output += text))
    child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text))
    await until('it to follow', () => output.includes('version 1'))
    proxy.blackhole(true)
    await until('it to say so', () => errors.includes('nothing has come for 25 s'))
    proxy.cut()
    proxy.blackhole(false)
    await pool.query("select decide_message('waits-1', 'hold', 'alice', 'why')")
    service.events.give()
    await until('it to go on', () => output.includes('version 2: pending, on hold'))
    t.equal(child.exitCode, null)
  },
)
