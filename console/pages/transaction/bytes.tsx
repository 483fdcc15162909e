import { useSignal } from '@preact/signals'
import { ask } from '../../api/ask.ts'
import { bytesOperation, type BytesResult } from '../../api/operations.ts'
import { maySeeBytes } from '../../api/session.ts'
import { Foreign, writeOutInLines } from '../../parts/foreign.tsx'
import { formatBytes, formatName } from '../../parts/format.ts'
import { Notice, sentenceOf } from '../../parts/notice.tsx'
import type { Message } from './read-life.ts'

/** The payload, the key and the headers, which are not even asked for before somebody who may see them wants to. */
export function Bytes({ message }: { message: Message }) {
  const shown = useSignal<BytesResult['message']>(null)
  const fault = useSignal<string | null>(null)
  const { payload, source } = message
  const load = async (): Promise<void> => {
    try {
      shown.value = (await ask(bytesOperation, { transactionId: message.transactionId })).data.message
      fault.value = null
    } catch (error) {
      fault.value = sentenceOf(error)
    }
  }
  return (
    <section aria-labelledby="bytes">
      <h2 id="bytes">Payload and headers</h2>
      <dl class="facts">
        <dt>Payload</dt>
        <dd>
          {formatBytes(payload?.bytes ?? null)}, {formatName(payload?.state ?? 'ABSENT')}
        </dd>
        {payload?.sha256 && (
          <>
            <dt>SHA-256</dt>
            <dd class="id words">{payload.sha256}</dd>
          </>
        )}
        <dt>Headers</dt>
        <dd>{source?.headerCount ?? 0}</dd>
      </dl>
      {fault.value !== null && <Notice tone="bad">{fault.value}</Notice>}
      {!maySeeBytes.value ? null : shown.value === null ? (
        <button type="button" onClick={() => void load()}>
          Show payload and headers
        </button>
      ) : (
        <>
          <button type="button" onClick={() => (shown.value = null)}>
            Hide payload and headers
          </button>
          <Shown bytes={shown.value} />
        </>
      )}
    </section>
  )
}

function Shown({ bytes: { payload, source } }: { bytes: NonNullable<BytesResult['message']> }) {
  const text = payload?.text ?? null
  return (
    <>
      <h3>{text === null && payload?.base64 ? 'Payload, in base64: it is not UTF-8' : 'Payload'}</h3>
      <pre tabIndex={0} aria-label="Payload">
        {writeOutInLines(text ?? payload?.base64 ?? 'There is none.')}
      </pre>
      {source !== null && (
        <>
          <h3>Record’s key</h3>
          <p class="words">
            <Foreign class="id" text={source.key ?? source.keyBase64 ?? 'none'} />
          </p>
        </>
      )}
      {source !== null && source.headers.length > 0 && (
        <table>
          <caption>Headers, the first 100</caption>
          <thead>
            <tr>
              <th scope="col">Name</th>
              <th scope="col">Value</th>
            </tr>
          </thead>
          <tbody>
            {source.headers.map(({ name, value, valueBase64 }, at) => (
              <tr key={at}>
                <th scope="row">
                  <Foreign text={name} />
                </th>
                <td class="words id">
                  <Foreign text={value ?? valueBase64 ?? ''} />
                </td>
              </tr>
            ))}
          </tbody>
        </table>
      )}
    </>
  )
}
