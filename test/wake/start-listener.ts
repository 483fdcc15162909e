import { setTimeout as sleep } from 'node:timers/promises'
import { pino } from 'pino'
import type { Test } from 'tap'
import { listen, type ListenOptions, type Listener } from '../../src/wake/listen.ts'

export type Watched = {
  listener: Listener
  /** What each onUp said: was it a reconnect? */
  ups: boolean[]
  downs: string[]
  /** The channel of each notification, in order of arrival. */
  notified: string[]
  /** Reasons of the sessions that could not be opened or ended, as logged. */
  reasons: string[]
}

/** A listener in a hurry that writes down what it says; it stops with the test. */
export function startListener(
  t: Pick<Test, 'teardown'>,
  connectionString: string,
  options: Partial<ListenOptions> = {},
): Watched {
  const ups: boolean[] = []
  const downs: string[] = []
  const notified: string[] = []
  const reasons: string[] = []
  const logger = pino({ level: 'warn' }, { write: (line) => reasons.push(parseReason(line)) })
  const listener = listen({
    connectionString,
    channels: ['message_due', 'message_events'],
    instance: 'test',
    onNotify: (channel) => notified.push(channel),
    onUp: (reconnect) => ups.push(reconnect),
    onDown: (reason) => downs.push(reason),
    logger,
    heartbeatMs: 20,
    retryMinMs: 5,
    retryMaxMs: 40,
    ...options,
  })
  t.teardown(() => listener.stop())
  return { listener, ups, downs, notified, reasons }
}

function parseReason(line: string): string {
  return (JSON.parse(line) as { reason: string }).reason
}

/** Waits for a condition, for as long as the test file may run. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(5)
}

/** The same database, reached over another port of this machine. */
export function throughPort(url: string, port: number): string {
  const changed = new URL(url)
  changed.hostname = '127.0.0.1'
  changed.port = String(port)
  return changed.href
}

export function addressOf(url: string): { host: string; port: number } {
  const { hostname, port } = new URL(url)
  return { host: hostname, port: Number(port || 5432) }
}
