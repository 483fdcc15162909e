import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { formatNode, startNode } from './apache-kafka.ts'
import { endProcess } from './end-process.ts'
import { findFreePort } from './free-port.ts'

export interface KafkaPair {
  readonly brokers: string[]
  /** Ends node 2 by SIGKILL. Node 1, which is the controller, leads everything within some three seconds. */
  killSecond: () => Promise<void>
}

/** Two real Kafka brokers, nodes 1 and 2, so that a partition's leader can move. They end with the test. */
export async function startKafkaPair(t: Pick<Test, 'teardown'>): Promise<KafkaPair> {
  const folder = await mkdtemp(join(tmpdir(), 'kafka-pair-'))
  const one = await formatNode(join(folder, '1'), {
    properties: { 'broker.session.timeout.ms': '2000', 'broker.heartbeat.interval.ms': '300' },
  })
  const port = await findFreePort()
  const listeners = `PLAINTEXT://127.0.0.1:${port}`
  const two = await formatNode(join(folder, '2'), {
    properties: {
      'process.roles': 'broker',
      'node.id': '2',
      'controller.quorum.voters': await readProperty(one.propertiesPath, 'controller.quorum.voters'),
      listeners,
      'advertised.listeners': listeners,
      'broker.heartbeat.interval.ms': '300',
    },
  })
  const first = await startNode(one)
  t.teardown(async () => {
    await endProcess(first, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const second = await startNode({ ...two, port })
  t.teardown(() => endProcess(second, 'SIGKILL'))
  return {
    brokers: [`127.0.0.1:${one.port}`, `127.0.0.1:${port}`],
    killSecond: async () => {
      await endProcess(second, 'SIGKILL')
    },
  }
}

async function readProperty(path: string, name: string): Promise<string> {
  const lines = (await readFile(path, 'utf8')).split('\n')
  return lines.find((line) => line.startsWith(`${name}=`))?.slice(name.length + 1) ?? ''
}
