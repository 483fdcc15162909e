import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { text } from 'node:stream/consumers'
import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService, startService } from '../support/service.ts'
import { until } from '../support/until.ts'

const nowhere = 'http://127.0.0.1:1'
const proxy = { HTTPS_PROXY: nowhere, http_proxy: nowhere, NODE_USE_ENV_PROXY: '1' }

t.test('payments go to the processor and to no proxy of the environment', async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const service = await startReadyService(t, { ...line.settings, ...proxy })
  await line.produce(10)
  t.match(await line.settled(10), { success: 10 })
  t.notOk(
    service.log.some(({ event }) => /^proxy settings/.test(String(event))),
    'nothing to warn of here',
  )
})

t.test('where a proxy would have been used, one line says that it is not', async (t) => {
  const settings = {
    DATABASE_URL: 'postgresql://127.0.0.1:1/none',
    KAFKA_BROKER: '127.0.0.1:1',
    DOWNSTREAM_URL: 'https://processor.invalid/',
  }
  const service = await startService(t, { ...settings, ...proxy })
  await until('the line', () =>
    service.log.some(
      ({ event, settings }) =>
        event === 'proxy settings are not used: payments go straight to DOWNSTREAM_URL' &&
        String(settings) === 'http_proxy,HTTPS_PROXY',
    ),
  )
})

t.test('whether an embedded part is well is asked of it alone', async (t) => {
  const server = createServer((_, response) => response.end())
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { port } = server.address() as AddressInfo
  const module = new URL('../../src/embedded/is-healthy.ts', import.meta.url).href
  const code = `import { isHealthy } from ${JSON.stringify(module)}; console.log(await isHealthy('127.0.0.1', ${port}))`
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), '--input-type=module', '-e', code],
    { env: { PATH: process.env.PATH, ...proxy }, stdio: ['ignore', 'pipe', 'inherit'] },
  )
  t.equal((await text(child.stdout)).trim(), 'true')
})
