import type { ArchivedSegment } from './archives.ts'
import type { Invariant } from './invariants.ts'
import type { Report } from './verify.ts'

/** Returns whether there is no difference. */
export function isClean(report: Report): boolean {
  return report.invariants.every((invariant) => invariant.differences === 0)
}

/** Prints the report for a terminal: one line for each invariant, followed by its differences. */
export function printText(report: Report): string {
  const lines = report.invariants.flatMap(printInvariant)
  const differences = report.invariants.reduce((sum, invariant) => sum + invariant.differences, 0)
  lines.push('')
  if (report.notYetConsumed !== null)
    lines.push(`${group(report.notYetConsumed)} acknowledged records are not yet consumed: no difference`)
  for (const { name, first, next, actor, reason } of report.givenUp)
    lines.push(
      printable(
        `${name} offsets ${first} to ${next - 1} were given up by ${actor} (${reason}): no difference`,
      ),
    )
  if (report.acknowledgedGivenUp !== null && report.acknowledgedGivenUp > 0)
    lines.push(
      `${group(report.acknowledgedGivenUp)} acknowledged records lie in what was given up: no difference`,
    )
  if (report.openEffects !== null)
    lines.push(`${group(report.openEffects)} effects are of attempts still open: no difference`)
  lines.push(...printChanges(report))
  lines.push(...report.archived.map(printArchived))
  lines.push(...report.unknownArchives.map(printUnknown))
  lines.push(
    `${differences === 0 ? 'clean' : `${group(differences)} differences`}: ` +
      `${group(report.messages)} messages, ${group(report.events)} events, as of ${report.snapshotAt}`,
  )
  return `${lines.join('\n')}\n`
}

/**
 * Prints the report as one JSON object. `checked` is null if an invariant could not be checked. `limit` says why, or which part
 * was.
 */
export function printJson(report: Report): string {
  return `${JSON.stringify({
    clean: isClean(report),
    snapshot_at: report.snapshotAt,
    messages: report.messages,
    events: report.events,
    not_yet_consumed: report.notYetConsumed,
    open_effects: report.openEffects,
    acknowledged_given_up: report.acknowledgedGivenUp,
    given_up: report.givenUp.map(({ topic, number, first, next, actor, reason }) => ({
      topic,
      partition: number,
      first_offset: first,
      next_offset: next,
      actor,
      reason,
    })),
    server_changes: report.serverChanges.map((change) => ({
      noticed_at: change.noticedAt,
      actor: change.actor,
      from_timeline: change.fromTimeline,
      timeline: change.timeline,
      lost_after: change.lostAfter,
      from_position: change.fromPosition,
      position: change.position,
    })),
    lost_requests: report.lostRequests,
    stray_outcomes: report.strayOutcomes,
    archived: report.archived.map((each) => ({
      segment: each.segment,
      first_message_id: each.firstMessageId,
      next_message_id: each.nextMessageId,
      name: each.name,
      messages: each.messages,
      events: each.events,
      actor: each.actor,
      reason: each.reason,
      checked: each.folder !== null,
    })),
    unknown_archives: report.unknownArchives,
    invariants: report.invariants.map((invariant) => ({
      id: invariant.id,
      rule: invariant.rule,
      checked: isUnchecked(invariant) ? null : invariant.checked,
      unit: invariant.unit,
      limit: invariant.limit,
      differences: invariant.differences,
      named: invariant.named.map(({ name, version, what }) => ({ transaction_id: name, version, what })),
      more: invariant.differences - invariant.named.length,
    })),
  })}\n`
}

/** Says of a segment that is archived whether its events were checked. */
function printArchived({ segment, firstMessageId, nextMessageId, name, ...each }: ArchivedSegment): string {
  const what = `${group(each.messages)} messages, ${group(each.events)} events`
  return printable(
    `segment ${segment} (messages ${firstMessageId} to ${nextMessageId - 1}: ${what}) was archived as ${name} by ${each.actor} ` +
      `(${each.reason}): ${each.folder === null ? 'not checked without its archive (--archive)' : 'checked with its archive'}`,
  )
}

/** Says what to do about an archive that the log does not remember. */
function printUnknown(name: string): string {
  return printable(
    `archive ${name} was not checked, because the log does not remember it. If the database was restored from a backup of before the ` +
      'archive, its segment is in the database: `npm run archive` takes it up again. Else another archive of its segment counts, or it is of another database',
  )
}

/** Prints what a failover or a restore explains. */
function printChanges({ serverChanges, lostRequests, strayOutcomes }: Report): string[] {
  const lines = serverChanges.map(({ noticedAt, actor, fromTimeline, timeline, lostAfter }) =>
    printable(
      `the database server changed (timeline ${fromTimeline} to ${timeline}, noticed at ${noticedAt} by ${actor}): ` +
        `what was committed after ${lostAfter} may be missing: no difference`,
    ),
  )
  if (lostRequests !== null && lostRequests > 0)
    lines.push(`${group(lostRequests)} requests are of attempts that this took out of the log: no difference`)
  if (strayOutcomes > 0)
    lines.push(
      `${group(strayOutcomes)} outcomes of such attempts wait until Kafka hands their payments over again: no difference`,
    )
  return lines
}

function printInvariant(invariant: Invariant): string[] {
  const { id, rule, checked, unit, limit, differences, named } = invariant
  const head = `${id.padEnd(4)}${verdict(invariant).padEnd(9)}${rule}`
  if (isUnchecked(invariant)) return [`${head}: ${limit}`]
  const what = limit === null ? '' : ` (${limit})`
  const lines = [`${head}: ${group(checked)} ${unit}, ${group(differences)} differences${what}`]
  for (const { name, version, what } of named)
    lines.push(`      ${printable(name)}${version === null ? '' : ` version ${version}`}: ${printable(what)}`)
  if (differences > named.length) lines.push(`      +${group(differences - named.length)} more`)
  return lines
}

function verdict(invariant: Invariant): string {
  if (isUnchecked(invariant)) return '-'
  return invariant.differences === 0 ? 'ok' : 'DIFFERS'
}

function isUnchecked({ limit, checked, differences }: Invariant): boolean {
  return limit?.startsWith('not checked') === true && checked === 0 && differences === 0
}

function group(count: number): string {
  return count.toLocaleString('en-US')
}

/** Replaces control characters: names come from outside, and a terminal would obey them. */
function printable(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}]/gu, '\ufffd')
}
