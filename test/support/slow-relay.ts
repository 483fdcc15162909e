import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type AddressInfo } from 'node:net'
import { fileURLToPath } from 'node:url'
import type { Test } from 'tap'

/** A port on 127.0.0.1 that leads to another, and the process behind it. */
export type SlowRelay = { port: number; pid: number }

/**
 * A relay whose process can be stopped: what connects meanwhile finds its queue full, has its first packet dropped, and is
 * connected a second later, when it sends that packet again. So a connect takes a second, with no right to change the network.
 */
export async function startSlowRelay(
  t: Pick<Test, 'teardown'>,
  target: { host: string; port: number },
): Promise<SlowRelay> {
  const script = fileURLToPath(import.meta.url)
  const child = spawn(
    process.execPath,
    ['--import', import.meta.resolve('tsx'), script, JSON.stringify(target)],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  t.teardown(() => child.kill('SIGKILL'))
  const [port] = (await once(child.stdout, 'data')) as [Buffer]
  return { port: Number(port), pid: child.pid ?? 0 }
}

function relay(target: { host: string; port: number }): void {
  const server = createServer((client) => {
    client.on('error', () => undefined)
    // Who only fills the queue says nothing, and the target is not troubled with it.
    client.once('readable', () => {
      const onward = connect(target)
      onward.on('error', () => client.destroy())
      onward.on('close', () => client.destroy())
      client.on('close', () => onward.destroy())
      client.pipe(onward).pipe(client)
    })
  })
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () =>
    process.stdout.write(`${(server.address() as AddressInfo).port}\n`),
  )
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  relay(JSON.parse(process.argv[2] ?? '') as { host: string; port: number })
}
