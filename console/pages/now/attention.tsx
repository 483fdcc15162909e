import { cut } from '../../api/connection.ts'
import type { DestinationNowResult, StandingResult } from '../../api/operations.ts'
import { writeOut } from '../../parts/foreign.tsx'
import { formatCount, formatDuration, formatName } from '../../parts/format.ts'
import { link } from '../../router.ts'
import type { NowMetrics } from './now.tsx'
import { countWaiting } from './waiting.ts'

// The sweep finds what nobody looked at for 10 s; what is due for longer than that is late in any case.
const dueMsMax = 10_000
const headSecondsMax = 30

type Props = {
  readonly now: NowMetrics
  /** The figures that are not known, in words. */
  readonly missing: readonly string[]
  readonly destination: DestinationNowResult['destination'] | null
  readonly jobs: StandingResult['replayJobs']['nodes'] | null
}

/** What needs somebody, in sentences, the most pressing first. */
export function Attention({ now, missing, destination, jobs }: Props) {
  const all = [
    ...missing,
    ...(destination === null ? ['the destination'] : []),
    ...(jobs === null ? ['the jobs'] : []),
  ]
  const sentences = [...findMissing(all), ...findSentences(now, destination), ...findJobs(jobs ?? [])]
  return (
    <section aria-labelledby="attention">
      <h2 id="attention">Needs attention</h2>
      {sentences.length === 0 ? (
        <Nothing />
      ) : (
        <ul class="attention">
          {sentences.map(({ text, key, page, subject = '', search }) => (
            <li key={key ?? text} class="notice bad">
              {writeOut(text)}{' '}
              {page !== undefined && (
                <a href={link(page, subject, search)}>
                  See {subject === '' ? page.replace('-', ' ') : `job ${subject}`}
                </a>
              )}
            </li>
          ))}
        </ul>
      )}
    </section>
  )
}

/** Figures of before say nothing about now. */
function Nothing() {
  return cut.value === null ? (
    <p class="notice good">Nothing. Payments flow, and nothing waits for you.</p>
  ) : (
    <p class="notice calm">Nothing was known of before the cut. What came since is not known.</p>
  )
}

/** A sentence, and the page where one goes on from it. */
type Sentence = {
  readonly text: string
  /** What tells it from the others, where the text counts on. */
  readonly key?: string
  readonly page?: string
  /** What the page is about, such as the number of a job. */
  readonly subject?: string
  /** What of that page is shown. */
  readonly search?: Readonly<Record<string, string>>
}

/** Where a figure is not known, nobody can say that nothing needs attention. */
function findMissing(missing: readonly string[]): Sentence[] {
  return missing.length === 0 ? [] : [{ text: `These figures are missing: ${missing.join(', ')}.` }]
}

/** A job that has stopped waits for somebody; one that waits goes on by itself, and says for what. */
function findJobs(jobs: NonNullable<Props['jobs']>): Sentence[] {
  return jobs.flatMap(({ id, kind, state, waitsFor, stoppedBecause }) => {
    const name = `Job ${id}, a ${kind === 'REPLAY' ? 'replay' : 'resolution'},`
    const place = { page: 'jobs', subject: id, key: `job ${id}` }
    if (state === 'STOPPED')
      return [
        {
          ...place,
          text: `${name} has stopped and waits for you: ${stoppedBecause ?? 'it does not say why'}`,
        },
      ]
    if (state === 'WAITING')
      return [{ ...place, text: `${name} waits: ${waitsFor ?? 'it does not say for what'}` }]
    return []
  })
}

function findSentences(now: NowMetrics, destination: Props['destination']): Sentence[] {
  const found: Sentence[] = []
  if (destination?.state === 'PAUSED' || destination?.state === 'HELD')
    found.push({
      text: `No payment is sent: the destination is ${formatName(destination.state)}. ${formatCount(countWaiting(now.counts))} wait.`,
    })
  if (now.kafka?.connected === false)
    found.push({
      text: `This instance is not connected to Kafka for ${formatDuration(Date.parse(now.at) - Date.parse(now.kafka.since))}: ${now.kafka.reason ?? 'nobody knows why'}`,
      key: 'kafka',
    })
  else
    for (const { partition, reason } of now.kafka?.waiting ?? [])
      found.push({ text: `Partition ${partition} waits for Kafka: ${reason}` })
  for (const { name, state } of now.instances ?? [])
    if (state === 'SILENT')
      found.push({
        text: `Instance ${name} has a session on the database, but is not heard: it is frozen, or cut off.`,
      })
  for (const { topic, partition, lag } of now.kafka?.unread ?? [])
    found.push({
      text: `Nobody reads partition ${partition} of ${topic}; ${lag === null ? 'how many records wait in it is not known' : `${formatCount(lag)} records wait in it`}.`,
    })
  for (const { topic, partition, stopped } of now.consumer ?? [])
    if (stopped !== null)
      found.push({ text: `Partition ${partition} of ${topic} is stopped: ${stopped}`, page: 'partitions' })
  const lateMs = now.oldestDueAt === null ? 0 : Date.parse(now.at) - Date.parse(now.oldestDueAt)
  if (lateMs > dueMsMax && destination?.state === 'FLOWING')
    found.push({ text: `A payment has been due for ${formatDuration(lateMs)} and was not sent.` })
  if (Number(now.deadLetters?.open ?? 0) > 0)
    found.push({
      text: `Dead letters that wait for a decision: ${formatCount(now.deadLetters?.open)}.`,
      page: 'dead-letters',
    })
  // The count has the resolved ones too, which are nobody's work.
  if (Number(now.deadLetters?.open ?? 0) > 0 && Number(now.outcomeUnknown?.deadLetter ?? 0) > 0)
    found.push({
      text: `Dead letters in doubt, resolved ones too: ${formatCount(now.outcomeUnknown?.deadLetter)}. The processor may have paid them all the same.`,
      page: 'dead-letters',
      search: { doubt: 'yes' },
    })
  if (Number(now.held ?? 0) > 0)
    found.push({ text: `Payments that an operator holds: ${formatCount(now.held)}.` })
  if (now.wakeups?.listenerUp === false)
    found.push({
      text: 'This instance does not hear PostgreSQL’s notices. It looks by itself every so often.',
    })
  if ((now.watermark?.ageSeconds ?? 0) > headSecondsMax)
    found.push({
      text: `A transaction in the database has been open for ${formatDuration((now.watermark?.ageSeconds ?? 0) * 1_000)}. Live views wait for it.`,
    })
  return found
}
