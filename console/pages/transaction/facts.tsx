import type { ComponentChildren } from 'preact'
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
    ['Idempotency key', <bdi class="id">{message.idempotencyKey}</bdi>],
  ]
  if (message.nextDueAt !== null) facts.push(['Next attempt', <BothTimes at={message.nextDueAt} />])
  if (message.errorMessage !== null) facts.push(['Last error', <bdi>{message.errorMessage}</bdi>])
  if (message.deadLetterCause !== null)
    facts.push(['Dead letter because', formatName(message.deadLetterCause)])
  if (message.outcomeUnknown)
    facts.push([
      'In doubt',
      'An attempt ended with no answer: the processor may have carried it out. Ask it by the idempotency key.',
    ])
  if (source !== null) {
    facts.push([
      'Kafka record',
      <bdi class="id">{`${source.topic}:${source.partition}:${source.offset}`}</bdi>,
    ])
    facts.push(['Record’s time', <BothTimes at={source.timestamp} />])
    facts.push(['Record’s key', <bdi class="id">{source.key ?? source.keyBase64 ?? 'none'}</bdi>])
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
