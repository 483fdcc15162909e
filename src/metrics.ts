import { inquiryAnswers } from './message/inquiry.ts'
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'
import { referenceFaults } from './message/reference.ts'
import { lanes } from './message/message.ts'
import type { OutcomeKind } from './message/outcome.ts'

/**
 * What this process counts as it runs, in one place so that names and labels are read together. What the
 * database knows (counts by status, oldest due, watermark) is not kept here: the API asks for it at scrape
 * time.
 */
export type Metrics = ReturnType<typeof createMetrics>

// Attempts take from under a millisecond (a local processor) to the longest sensible timeout.
const attemptBuckets = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60]
// End to end includes waiting for retries: up to half a day.
const endToEndBuckets = [...attemptBuckets, 120, 300, 600, 1_800, 3_600, 14_400, 43_200]

export function createMetrics(release: string) {
  const registry = new Registry()
  const registers = [registry]
  collectDefaultMetrics({ register: registry })
  new Gauge({
    name: 'tqp_build_info',
    help: 'Always 1. The labels name the release and the version of Node.',
    labelNames: ['release', 'node'],
    registers,
  }).set({ release, node: process.version }, 1)
  const metrics = {
    registry,
    attempts: new Counter({
      name: 'tqp_attempts_total',
      help: 'Attempts that have ended, by lane and outcome (accepted, refused, unavailable, not_sent, unknown, abandoned).',
      labelNames: ['lane', 'outcome'],
      registers,
    }),
    attemptSeconds: new Histogram({
      name: 'tqp_attempt_duration_seconds',
      help: 'Duration of one HTTP attempt, from its start to its outcome.',
      labelNames: ['lane'],
      buckets: attemptBuckets,
      registers,
    }),
    endToEndSeconds: new Histogram({
      name: 'tqp_end_to_end_seconds',
      help: 'Time from received (stored) to success, for messages whose success this instance recorded.',
      buckets: endToEndBuckets,
      registers,
    }),
    inFlight: new Gauge({
      name: 'tqp_in_flight',
      help: 'Requests of this instance to the processor that are under way, by lane.',
      labelNames: ['lane'],
      registers,
    }),
    claimedAhead: new Gauge({
      name: 'tqp_claimed_ahead',
      help: 'Attempts that this instance has claimed and that wait for a request to end, by lane.',
      labelNames: ['lane'],
      registers,
    }),
    wakeups: new Counter({
      name: 'tqp_wakeups_total',
      help: 'Looks for due work, by their cause (start, notify, timer, slot, sweep, reconnect, destination).',
      labelNames: ['lane', 'cause'],
      registers,
    }),
    missedWakeups: new Counter({
      name: 'tqp_missed_wakeups_total',
      help: 'Messages that the sweep found due for over 10 s although the lane had room and the listener was up. Normally 0.',
      registers,
    }),
    inquiries: new Counter({
      name: 'tqp_inquiries_total',
      help: 'Answers of the processor to inquiries about payments in doubt (carried_out, refused, in_progress, not_found, no_answer).',
      labelNames: ['answer'],
      registers,
    }),
    references: new Counter({
      name: 'tqp_references_total',
      help: "Answers that were searched for the processor's reference (REFERENCE), by result: kept, absent, or why it was not kept.",
      labelNames: ['result'],
      registers,
    }),
    loginsRefused: new Counter({
      name: 'tqp_logins_refused_total',
      help: 'Requests that were refused, by reason (no_token, unknown_token, removed_token, stranger, role: a known token that may not do this).',
      labelNames: ['reason'],
      registers,
    }),
    tokenRequests: new Counter({
      name: 'tqp_token_requests_total',
      help: 'Requests and sockets that were let in, by the first eight digits of the hash in the token’s entry.',
      labelNames: ['token'],
      registers,
    }),
    tokenSubscriptions: new Gauge({
      name: 'tqp_token_subscriptions',
      help: 'Open subscriptions, by the first eight digits of the hash in the token’s entry.',
      labelNames: ['token'],
      registers,
    }),
    accessRowsFailed: new Counter({
      name: 'tqp_access_rows_failed_total',
      help: 'Rows of the table accesses that could not be written when they were due. Refused logins are tried again each minute.',
      registers,
    }),
    probes: new Counter({
      name: 'tqp_probes_total',
      help: 'Probes of a held destination that this instance sent, by result: answered (accepted, refused, or another attempt is asked for) or failed.',
      labelNames: ['result'],
      registers,
    }),
    throttledSeconds: new Counter({
      name: 'tqp_throttled_seconds_total',
      help: 'Seconds in which messages of a lane were due and waited for the rate limit, or because the processor had asked for less.',
      labelNames: ['lane'],
      registers,
    }),
    records: new Counter({
      name: 'tqp_ingest_records_total',
      help: 'Records consumed, by partition and result (received, duplicate, conflict, rejected, hole, skipped).',
      labelNames: ['topic', 'partition', 'result'],
      registers,
    }),
    logLinesDropped: new Counter({
      name: 'tqp_log_lines_dropped_total',
      help: "Lines of the service's log that were dropped because standard output accepted none: the disk is full, or nobody reads.",
      registers,
    }),
    spansExported: new Counter({
      name: 'tqp_spans_exported_total',
      help: 'Spans that the collector of traces has taken. 0 where traces are off.',
      registers,
    }),
    spansDropped: new Counter({
      name: 'tqp_spans_dropped_total',
      help: 'Spans that were dropped, by reason: not_taken (the collector failed or was too slow), full (too many waited). Normally 0.',
      labelNames: ['reason'],
      registers,
    }),
    unreadPartitions: new Gauge({
      name: 'tqp_unread_partitions',
      help: 'Partitions of the topic that no member of the consumer group reads, as this instance last knew. Normally 0.',
      labelNames: ['topic'],
      registers,
    }),
    httpConnections: new Gauge({
      name: 'tqp_http_connections',
      help: 'Open connections to the HTTP API.',
      registers,
    }),
    httpConnectionsOverLimit: new Counter({
      name: 'tqp_http_connections_over_limit_total',
      help: 'Connections beyond the limit. They only get answers about health and metrics. Normally 0.',
      registers,
    }),
    consumerLag: new Gauge({
      name: 'tqp_consumer_lag',
      help: 'Records of a partition that are in Kafka and not yet stored. Absent for a partition that cannot be read.',
      labelNames: ['topic', 'partition'],
      registers,
    }),
    unreadLag: new Gauge({
      name: 'tqp_unread_lag',
      help: 'Records in Kafka of a partition that nobody reads: it is stopped, or no member of the group reads it. Asked of the broker once a minute.',
      labelNames: ['topic', 'partition'],
      registers,
    }),
    subscriptions: new Gauge({
      name: 'tqp_subscriptions',
      help: 'Open GraphQL subscriptions of this instance.',
      registers,
    }),
    lastSweep: new Gauge({
      name: 'tqp_last_sweep_timestamp_seconds',
      help: 'When a sweep of this instance last ended well, or its sweeps began, in seconds since 1970; 0 before that.',
      registers,
    }),
  }
  beginCounts(metrics)
  return metrics
}

const outcomes = {
  accepted: 0,
  refused: 0,
  unavailable: 0,
  not_sent: 0,
  unknown: 0,
  abandoned: 0,
} satisfies Record<OutcomeKind | 'abandoned', number>
// The causes of wake/waker.ts, which this file must not import.
const causes = ['start', 'notify', 'timer', 'slot', 'sweep', 'reconnect', 'destination']

/**
 * Starts every series with known labels at 0, so that it exists from the first scrape on, as Prometheus
 * recommends. A series that first appears with a value shows no increase, and an alarm on it stays silent.
 * The series of a partition begin when it is assigned.
 */
function beginCounts({
  attempts,
  attemptSeconds,
  wakeups,
  inquiries,
  references,
  probes,
  throttledSeconds,
  spansDropped,
}: Pick<
  Metrics,
  | 'attempts'
  | 'attemptSeconds'
  | 'wakeups'
  | 'inquiries'
  | 'references'
  | 'probes'
  | 'throttledSeconds'
  | 'spansDropped'
>): void {
  for (const reason of ['not_taken', 'full']) spansDropped.inc({ reason }, 0)
  for (const answer of inquiryAnswers) inquiries.inc({ answer }, 0)
  for (const result of ['kept', 'absent', ...referenceFaults]) references.inc({ result }, 0)
  for (const result of ['answered', 'failed']) probes.inc({ result }, 0)
  for (const lane of lanes) {
    for (const outcome of Object.keys(outcomes)) attempts.inc({ lane, outcome }, 0)
    for (const cause of causes) wakeups.inc({ lane, cause }, 0)
    attemptSeconds.zero({ lane })
    throttledSeconds.inc({ lane }, 0)
  }
}
