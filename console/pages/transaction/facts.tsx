import type { ComponentChildren } from 'preact'
import { Foreign } from '../../parts/foreign.tsx'
import { formatName } from '../../parts/format.ts'
import { BothTimes } from '../../parts/time.tsx'
import type { Message } from './read-life.ts'

/** What is known of a message, beside its events. */
export function Facts({ message }: { message: Message }) {
  const { source } = message
  const facts: (readonly [string, ComponentChildren])[] = [
    ['Received', <BothTimes at={message.createdAt} />],
    ['Last changed', <BothTimes at={message.updatedAt} />],
    ['Attempts', `${message.attempts}, of which ${message.retryCount} retries since received or replayed`],
    ['Idempotency key', <Foreign class="id" text={message.idempotencyKey} />],
  ]
  if (message.reference !== null)
    facts.push(['The processor calls it', <Foreign class="id" text={message.reference} />])
  if (message.nextDueAt !== null) facts.push(['Next attempt', <BothTimes at={message.nextDueAt} />])
  if (message.errorMessage !== null) facts.push(['Last error', <Foreign text={message.errorMessage} />])
  if (message.deadLetterCause !== null)
    facts.push(['Dead letter because', formatName(message.deadLetterCause)])
  if (message.outcomeUnknown && message.status !== 'SUCCESS')
    facts.push([
      'In doubt',
      'An attempt may have been carried out: its outcome is unknown. Ask the processor by the idempotency key.',
    ])
  if (source !== null) {
    facts.push([
      'Kafka record',
      <Foreign class="id" text={`${source.topic}:${source.partition}:${source.offset}`} />,
    ])
    facts.push(['Record’s time', <BothTimes at={source.timestamp} />])
  }
  return (
    <section aria-labelledby="facts">
      <h2 id="facts">Facts</h2>
      <dl class="facts">
        {facts.map(([name, value]) => (
          <>
            <dt>{name}</dt>
            <dd class="words">{value}</dd>
          </>
        ))}
      </dl>
    </section>
  )
}
