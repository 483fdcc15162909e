import type { Pool } from 'pg'
import { listActiveJobs } from '../log/read/read-jobs.ts'
import { stepJob, type JobStep } from '../log/write/step-job.ts'
import { Latch } from '../runtime/latch.ts'
import type { Failpoint } from '../runtime/failpoint.ts'
import type { Logger } from '../runtime/logger.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import type { Ground } from './ground.ts'

const retryMs = 1_000
// How soon another instance goes on with a job whose instance died.
const leaseMs = 3_000

type Options = {
  database: Pool
  instance: string
  ground: Pick<Ground, 'fault'>
  /** The limit of the fresh lane. */
  room: number
  logger: Logger
  failpoint: Failpoint
}

/**
 * Makes the steps of the jobs that have something to do. A job is run by one instance at a time; the others only wait until its lease ends.
 * While there is no job, nothing is asked: a notification, or a new LISTEN session, wakes it.
 */
export class Jobs {
  readonly #options: Options
  readonly #woken = new Latch()
  /** When each job is due, on performance.now()'s clock; null until they are read again. */
  #due: Map<string, number> | null = null
  /** The jobs whose failing steps were told; null stands for the list of jobs. */
  readonly #failing = new Set<string | null>()
  /** What was last told of each job. */
  readonly #told = new Map<string, string>()

  constructor(options: Options) {
    this.#options = options
  }

  /** A hint that something was decided about a job. */
  wake(): void {
    this.#due = null
    this.#woken.open()
  }

  /** Never rejects. */
  async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      this.#woken.close()
      await this.#woken.opened(signal, await this.#work(signal))
    }
  }

  /** Steps what is due. Returns in how many milliseconds something is due again; null for only when woken. */
  async #work(signal: AbortSignal): Promise<number | null> {
    if (this.#options.ground.fault !== null) return retryMs
    let due: Map<string, number>
    try {
      due = await this.#read()
      this.#failing.delete(null)
    } catch (error) {
      this.#tellFailure(null, error)
      this.#due = null
      return retryMs
    }
    for (const [job, at] of due) {
      if (signal.aborted || at > performance.now()) continue
      const dueInMs = await this.#step(job)
      if (dueInMs === null) due.delete(job)
      else due.set(job, performance.now() + dueInMs)
    }
    return due.size === 0 ? null : Math.max(0, Math.min(...due.values()) - performance.now())
  }

  /** Makes a step of one job. A step that fails holds up no other job. Returns when to come again. */
  async #step(job: string): Promise<number | null> {
    const { database, instance, room, failpoint } = this.#options
    try {
      const step = await stepJob(database, job, { actor: `${instance}/jobs`, room, leaseMs })
      this.#failing.delete(job)
      this.#tell(job, step)
      if (step.worked > 0) failpoint('jobs.after_step')
      return step.dueInMs
    } catch (error) {
      this.#tellFailure(job, error)
      return retryMs
    }
  }

  async #read(): Promise<Map<string, number>> {
    if (this.#due !== null) return this.#due
    const due = new Map<string, number>()
    // Before the answer: a wake that comes meanwhile has them read again.
    this.#due = due
    for (const job of await listActiveJobs(this.#options.database)) due.set(job, 0)
    return due
  }

  /** One line for each job whose steps begin to fail. */
  #tellFailure(job: string | null, error: unknown): void {
    if (!this.#failing.has(job))
      this.#options.logger.warn({ ...(job !== null && { job }), reason: reasonOf(error) }, 'replay jobs wait')
    this.#failing.add(job)
  }

  /** One line for each new state of a job that this instance runs. */
  #tell(job: string, { state, reason }: JobStep): void {
    if (state === 'elsewhere' || this.#told.get(job) === state) return
    this.#told.set(job, state)
    const line = { job, state, reason }
    if (state === 'stopped') this.#options.logger.warn(line, 'replay job stopped')
    else this.#options.logger.info(line, 'replay job')
    if (state === 'done' || state === 'aborted') this.#told.delete(job)
  }
}
