import type pg from 'pg'
import type { LogEvent } from './event.ts'
import { isDecisionType } from './event-type.ts'
import type { Invariants } from './invariants.ts'
import { nameOf, type Message } from './message.ts'
import type { FindActor } from './settings.ts'

/**
 * S14: checks who wrote the event. An operator must also say why, and so must an instance that expunges by its RETAIN_PAYLOAD. Every
 * other actor must be an instance whose settings are known.
 */
export function checkActors(
  message: Message,
  event: LogEvent,
  findActor: FindActor,
  { S14 }: Invariants,
): void {
  S14.checked++
  if (event.actor.trim() === '') {
    S14.differ(nameOf(message), event.version, `${event.type} has no actor`)
    return
  }
  if (isDecisionType(event.type)) {
    if (isBlank(event.reason)) S14.differ(nameOf(message), event.version, `${event.type} without a reason`)
  } else if (findActor(event.actor).settings === null) {
    S14.differ(nameOf(message), event.version, `${event.actor} is of no registered instance`)
  }
}

/** S14: checks the decisions about partitions: each has an actor and a reason. */
export async function checkDecisions(client: pg.Client, { S14 }: Invariants): Promise<void> {
  const { rows } = await client.query<{ name: string; type: string; actor: string; reason: string }>(`
    select p.topic || ':' || p.partition || case when p.incarnation > 1 then ' (incarnation ' || p.incarnation || ')' else '' end
        as name, d.type, d.actor, d.reason
    from partition_decisions d join partitions p on p.partition_id = d.partition_id`)
  S14.checked += rows.length
  for (const { name, type, actor, reason } of rows)
    if (isBlank(actor) || isBlank(reason)) S14.differ(name, null, `${type} without an actor or a reason`)
}

function isBlank(text: string | null): boolean {
  return text === null || text.trim() === ''
}
