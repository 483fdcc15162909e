import type pg from 'pg'
import { readArchives, type ArchivedSegment } from './archives.ts'
import { Acknowledgements } from './acknowledgements.ts'
import { checkDecisions } from './check-actors.ts'
import { checkArchivedDuplicates, checkArchivedIdentities } from './check-archived.ts'
import { Concurrency } from './concurrency.ts'
import { Identities } from './identities.ts'
import { Ledger } from './ledger.ts'
import { checkDestinations } from './check-destinations.ts'
import { checkGuards } from './check-guards.ts'
import { Jobs } from './jobs.ts'
import { Holds } from './holds.ts'
import { Rates } from './rates.ts'
import { checkPartitions, type GivenUp } from './check-partitions.ts'
import { checkStrayRecords } from './check-payloads.ts'
import { checkCounts, checkPositions, checkStrayDecisions, checkStrayStates } from './check-projection.ts'
import { Records } from './records.ts'
import { checkFailures, checkPartitionFolds } from './check-rolled-up.ts'
import { Rollups } from './rollups.ts'
import { readDestinations } from './destinations.ts'
import { FileFault } from './read-json-lines.ts'
import { nameTransition } from './check-sequence.ts'
import { createInvariants, type Invariant, type Invariants, type InvariantId } from './invariants.ts'
import { countStrays, readLostWindows, type ServerChange } from './lost-windows.ts'
import { readCauseless } from './read-causeless.ts'
import { readRollupBounds } from './rollup-bounds.ts'
import { readActors } from './settings.ts'
import { inSnapshot } from './in-snapshot.ts'
import { walkLog } from './walk-log.ts'

export type Evidence = {
  readonly databaseUrl: string
  /** Without it, no TLS. */
  readonly databaseSsl?: pg.ClientConfig['ssl']
  /** The mock processor's ledger; null if there is none. */
  readonly ledgerPath: string | null
  /** The test producer's acknowledgements; null if there are none. */
  readonly acksPath: string | null
  /** Folders of archived segments: each is an archive, or a folder of archives. Without it, none. */
  readonly archives?: readonly string[]
}

export type Report = {
  /** When the snapshot was taken, by the database's clock, in RFC 3339. */
  readonly snapshotAt: string
  readonly events: number
  readonly messages: number
  readonly invariants: readonly Invariant[]
  /** Acknowledged records that are not yet consumed; null without acknowledgements. */
  readonly notYetConsumed: number | null
  /** Acknowledged records that operators gave up; null without acknowledgements. */
  readonly acknowledgedGivenUp: number | null
  /** The offsets that operators gave up. */
  readonly givenUp: readonly GivenUp[]
  /** Effects of attempts that are still open; null without a ledger. */
  readonly openEffects: number | null
  /** Changes of the server that the log is on. At each of them the log may have lost its end. */
  readonly serverChanges: readonly ServerChange[]
  /** Requests of attempts that the log lost at such a change; null without a ledger. */
  readonly lostRequests: number | null
  /** Outcomes of such attempts that wait until Kafka hands their payments over again. */
  readonly strayOutcomes: number
  /** Segments of the log that are not in the database any more. */
  readonly archived: readonly ArchivedSegment[]
  /** Names of given archives that the log does not remember. They were not checked. */
  readonly unknownArchives: readonly string[]
}

/**
 * Checks the log against every invariant that the given evidence can show. It only reads. The files come first, so that all
 * they tell about is in the snapshot of the database, which is taken after them.
 *
 * The log is streamed. What must be kept is in typed arrays, which are up to twice as large because they double when they grow:
 * 8 bytes a message, 16 an attempt, 1 a consumed offset, and some 50 for each measure of a minute; with a ledger 45 an identity
 * and 12 a request; with acknowledgements 29 a record. Measured with two million messages and six million events, on two cores
 * shared with PostgreSQL and others: 170,000 events a second and 180 MB, or 380 MB with both files.
 *
 * @throws FileFault if a file cannot be used; what pg throws if the database fails
 */
export async function verify(evidence: Evidence): Promise<Report> {
  const invariants = createInvariants()
  const ledger = evidence.ledgerPath === null ? null : new Ledger(evidence.ledgerPath, invariants)
  const acknowledgements =
    evidence.acksPath === null ? null : new Acknowledgements(evidence.acksPath, invariants)
  ledger?.read()
  acknowledgements?.read()
  nameLimits(invariants, ledger !== null, acknowledgements !== null)
  const { databaseUrl: connectionString, databaseSsl: ssl = false } = evidence
  return inSnapshot({ connectionString, ssl }, async (client) => {
    ledger?.readOn()
    const archives = await readArchives(client, evidence.archives ?? [], invariants)
    // A broken archive is told as a difference, and then the files cannot be compared.
    const [unread] = archives.missing
    if (unread !== undefined && (ledger !== null || acknowledgements !== null))
      throw new FileFault(
        `The files cannot be compared with the log without the archive ${unread.name}: ${
          (evidence.archives ?? []).length === 0
            ? 'name its folder with --archive'
            : 'give it whole with --archive'
        }.`,
      )
    const snapshotAt = await readClock(client)
    const findActor = await readActors(client)
    const windows = await readLostWindows(client)
    ledger?.explainBy(windows)
    const destinations = await readDestinations(client)
    const holds = new Holds(destinations, invariants)
    const rates = new Rates(destinations, invariants)
    const jobs = new Jobs(invariants)
    const records = new Records(invariants)
    const identities = new Identities(invariants)
    const concurrency = new Concurrency(findActor, windows, invariants)
    const rollups = new Rollups(
      await readRollupBounds(client),
      await readCauseless(client, archives),
      invariants,
    )
    const walked = await walkLog(client, archives, {
      invariants,
      findActor,
      windows,
      destinations,
      holds,
      rates,
      jobs,
      legal: await readTransitions(client),
      records,
      identities,
      concurrency,
      rollups,
      acknowledgements,
      ledger,
    })
    await checkArchivedDuplicates(client, archives, {
      invariants,
      findActor,
      records,
      rollups,
      acknowledgements,
    })
    await checkArchivedIdentities(client, archives, invariants)
    records.finish(archives)
    await identities.finish(client)
    await concurrency.finish(client)
    await holds.finish(client)
    rates.finish()
    await jobs.finish(client, archives.missing.length === 0)
    await checkStrayStates(client, invariants)
    await checkStrayDecisions(client, invariants)
    await checkPositions(client, invariants)
    await checkStrayRecords(client, invariants)
    await checkCounts(client, walked.counts, archives, invariants)
    await rollups.finish(client, archives)
    await checkFailures(client, invariants)
    await checkPartitionFolds(client, invariants)
    await checkDecisions(client, invariants)
    await checkGuards(client, invariants)
    await checkDestinations(client, destinations, findActor, invariants)
    const standing = await checkPartitions(client, records.partitions, archives, invariants)
    const acknowledged = acknowledgements?.finish(standing)
    const requested = ledger?.finish()
    return {
      snapshotAt,
      events: walked.events,
      messages: walked.messages,
      invariants: Object.values(invariants),
      notYetConsumed: acknowledged?.notYetConsumed ?? null,
      acknowledgedGivenUp: acknowledged?.givenUp ?? null,
      givenUp: standing.givenUp,
      openEffects: requested?.openEffects ?? null,
      serverChanges: windows.changes,
      lostRequests: requested?.lostRequests ?? null,
      strayOutcomes: await countStrays(client),
      archived: archives.all,
      unknownArchives: archives.unknown,
    }
  })
}

/** What is counted as checked, where it is not events. S8 and S13 depend on the ledger. */
const units: Partial<Record<InvariantId, string>> = {
  S1: 'events and decisions',
  S2: 'record events',
  S3: 'events and decisions',
  S4: 'messages, counts, rollups and destinations',
  S5: 'starts and ends',
  S6: 'outcomes',
  S9: 'starts and ends',
  S12: 'offsets',
  S14: 'events and decisions',
  S16: 'events and decisions',
  S17: 'starts',
  S20: 'acknowledgements',
  S21: 'requests',
  S22: 'failures and dead letters',
  S23: 'probes',
  S24: 'starts',
  S25: 'events of jobs',
  S26: 'starts, replays and decisions',
  S27: 'starts and messages given up',
  S28: 'starts and answers',
  S29: 'tables',
}

/** Names the unit in which each invariant is counted, and what cannot be checked without the files. */
function nameLimits(invariants: Invariants, hasLedger: boolean, hasAcknowledgements: boolean): void {
  for (const each of Object.values(invariants)) each.unit = units[each.id] ?? each.unit
  const { S8, S13, S20, S21 } = invariants
  S8.unit = hasLedger ? 'identities and requests' : 'identities'
  S13.unit = hasLedger ? 'records and messages sent' : 'records'
  if (!hasLedger) {
    S8.limit =
      'checked: how keys are made, and that no two identities have the same key; without --ledger, not what was sent'
    S13.limit = 'checked: the bytes that were kept; without --ledger, not the bytes that were sent'
    S21.limit = 'not checked without --ledger'
  }
  if (!hasAcknowledgements) S20.limit = 'not checked without --acks'
}

async function readClock(client: pg.Client): Promise<string> {
  const { rows } = await client.query<{ at: Date }>('select transaction_timestamp() as at')
  return rows[0]?.at.toISOString() ?? ''
}

async function readTransitions(client: pg.Client): Promise<Set<string>> {
  const { rows } = await client.query<{ from_status: string; type: string; to_status: string }>(
    'select from_status, type, to_status from legal_transitions',
  )
  return new Set(rows.map((row) => nameTransition(row.from_status, row.type, row.to_status)))
}
