import type pg from 'pg'
import { copyRows } from './copy-rows.ts'
import type { LogEvent } from './event.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'

// As the service names the requests of its jobs.
const keyPrefix = 'replay-job:'
const eventOf = { replay: 'replayed', resolve: 'resolved' } as const

type Job = { kind: keyof typeof eventOf; actor: string; replayed: number }

/** What a job appended: which messages it came to, and what the first event of each kind and actor was. */
type Appended = { ids: number[]; firsts: Map<string, { name: string; event: LogEvent }> }

/**
 * S25: checks that each event of a replay job is of a message of its frozen set, that no message has two, and that the job and its operator
 * are who they should be. It keeps 8 bytes for each event of a job, and while it looks at one job 8 for each id of its set.
 */
export class Jobs {
  readonly #invariants: Invariants
  readonly #appended = new Map<string, Appended>()

  constructor(invariants: Invariants) {
    this.#invariants = invariants
  }

  /** Call it for every event. */
  add(message: Message, event: LogEvent): void {
    if (event.requestKey?.startsWith(keyPrefix) !== true) return
    const job = event.requestKey.slice(keyPrefix.length)
    let appended = this.#appended.get(job)
    if (appended === undefined) this.#appended.set(job, (appended = { ids: [], firsts: new Map() }))
    appended.ids.push(event.messageId)
    const kind = `${event.type} ${event.actor}`
    if (!appended.firsts.has(kind)) appended.firsts.set(kind, { name: nameOf(message), event })
    this.#invariants.S25.checked++
  }

  /**
   * Call it when the whole log was read.
   *
   * @param isWhole whether the events of all archived segments were read too
   */
  async finish(client: pg.Client, isWhole: boolean): Promise<void> {
    const { S25 } = this.#invariants
    const jobs = await readJobs(client)
    for (const [id, { ids, firsts }] of this.#appended) {
      const name = `replay job ${id}`
      const job = jobs.get(id)
      if (job === undefined) {
        S25.differ(name, null, `has ${ids.length} events in the log, and was never started`)
        continue
      }
      for (const { name: message, event } of firsts.values()) {
        if (event.type === eventOf[job.kind] && event.actor === job.actor) continue
        const what = `${event.type} by ${event.actor} for the job ${id}, which is to ${job.kind} for ${job.actor}`
        S25.differ(message, event.version, what)
      }
      this.#checkSet(name, Float64Array.from(ids).sort(), await readFrozen(client, id, job.kind))
    }
    if (!isWhole) return
    for (const [id, { replayed }] of jobs) {
      const events = this.#appended.get(id)?.ids.length ?? 0
      if (events !== replayed)
        S25.differ(
          `replay job ${id}`,
          null,
          `counts ${replayed} messages, and the log has ${events} events of it`,
        )
    }
  }

  /** Both are in ascending order. */
  #checkSet(name: string, ids: Float64Array, frozen: readonly number[]): void {
    const { S25 } = this.#invariants
    let at = 0
    for (const [place, id] of ids.entries()) {
      if (id === ids[place - 1]) {
        S25.differ(name, null, `came to message ${id} more than once`)
        continue
      }
      while ((frozen[at] ?? Infinity) < id) at++
      if (frozen[at] !== id) S25.differ(name, null, `came to message ${id}, which is not in its frozen set`)
    }
  }
}

async function readJobs(client: pg.Client): Promise<Map<string, Job>> {
  const { rows } = await client.query<{ job: string; kind: Job['kind']; actor: string; replayed: string }>(
    'select j.job, j.kind, j.actor, s.replayed from replay_jobs j join replay_job_states s on s.job = j.job',
  )
  return new Map(
    rows.map(({ job, kind, actor, replayed }) => [job, { kind, actor, replayed: Number(replayed) }]),
  )
}

/** What can be replayed, or all that was planned; in ascending order. */
async function readFrozen(client: pg.Client, job: string, kind: Job['kind']): Promise<number[]> {
  const frozen: number[] = []
  const condition = kind === 'replay' ? 'and p.is_replayable' : ''
  await copyRows(
    client,
    `select u.id from replay_plan_ids p cross join lateral unnest(p.message_ids) as u (id)
     where p.plan = ${BigInt(job)} ${condition} order by u.id`,
    (row) => frozen.push(row.integer()),
  )
  return frozen
}
