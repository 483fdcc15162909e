import { join } from 'node:path'
import type { Test } from 'tap'
import { readMemory } from '../../../bench/measure.ts'
import { isReady, readMetric, startService, type Service } from '../../support/service.ts'
import { until } from '../../support/until.ts'

export interface InstanceOptions {
  name: string
  settings: Record<string, string>
  logFolder: string
  /** Is told when a process of it ends that nobody here ended. */
  onEnd: (sentence: string) => void
}

/** One of the services of a soak, over all the processes that it is in turn. */
export class Instance {
  readonly name: string
  /** The resident memory of its process, in MiB, at each look that found one. */
  readonly memoryMiB: number[] = []
  /** What the old generation of its heap held, in MiB, at each look that was answered. */
  readonly heapMiB: number[] = []
  readonly #t: Pick<Test, 'teardown'>
  readonly #options: InstanceOptions
  #service: Service | undefined
  /** Of the processes that were killed: the counter begins at 0 with each. */
  #missedBefore = 0

  constructor(t: Pick<Test, 'teardown'>, options: InstanceOptions) {
    this.#t = t
    this.#options = options
    this.name = options.name
  }

  /** Resolves when it listens, which is before it is ready. */
  async start(): Promise<void> {
    const { settings, logFolder, onEnd } = this.#options
    const logPath = join(logFolder, `${this.name.replace(' ', '-')}.log`)
    const service = await startService(this.#t, settings, logPath)
    this.#service = service
    this.#t.teardown(() => (this.#service = undefined))
    void service.ended.then((how) => {
      if (this.#service !== service) return
      onEnd([`${this.name} ended by itself with ${how}.`, service.errors().trim()].join(' '))
    })
  }

  /** SIGKILL, and another process in its place. */
  async replace(): Promise<void> {
    this.#missedBefore = await this.missedWakeups()
    const killed = this.#running
    this.#service = undefined
    killed.kill('SIGKILL')
    await killed.ended
    await this.start()
  }

  freeze(): void {
    this.#running.kill('SIGSTOP')
  }

  thaw(): void {
    this.#running.kill('SIGCONT')
  }

  /** As it calls itself in the log, and in the name of its LISTEN session. */
  async id(): Promise<string> {
    const response = await fetch(`${this.#running.url}/status`)
    return ((await response.json()) as { instance: string }).instance
  }

  isReady(): Promise<void> {
    return isReady(this.#running)
  }

  /** Over all its processes. Soon after an outage it may not answer at once. */
  async missedWakeups(): Promise<number> {
    let missed = NaN
    await until(`the metrics of ${this.name}`, async () => {
      missed = await readMetric(this.#running, 'tqp_missed_wakeups_total')
      return !Number.isNaN(missed)
    })
    return this.#missedBefore + missed
  }

  async measure(): Promise<void> {
    const service = this.#service
    if (service === undefined) return
    try {
      this.memoryMiB.push(readMemory(service.pid))
      const bytes = await readMetric(service, 'nodejs_heap_space_size_used_bytes{space="old"}')
      this.heapMiB.push(Math.round(bytes / 1024 / 1024))
    } catch {
      // It ends just now.
    }
  }

  get #running(): Service {
    if (this.#service === undefined) throw new Error(`${this.name} does not run`)
    return this.#service
  }
}
