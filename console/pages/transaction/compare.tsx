import { useSignal } from '@preact/signals'
import { ask } from '../../api/ask.ts'
import { bytesOperation, type BytesResult } from '../../api/operations.ts'
import { compare, type Piece } from '../../parts/differences.ts'
import { writeOutInLines } from '../../parts/foreign.tsx'
import { Notice, sentenceOf } from '../../parts/notice.tsx'

type Payload = NonNullable<NonNullable<BytesResult['message']>['payload']>
type Props = {
  /** The ids of the two. */
  readonly stored: string
  readonly other: string
}

/** The bytes of two records with the same id, side by side. They are not even asked for before somebody wants to see them. */
export function Compare({ stored, other }: Props) {
  const shown = useSignal<readonly [Payload, Payload] | null>(null)
  const fault = useSignal<string | null>(null)
  const load = async (): Promise<void> => {
    try {
      shown.value = await Promise.all([readPayload(stored), readPayload(other)])
      fault.value = null
    } catch (error) {
      fault.value = sentenceOf(error)
    }
  }
  return (
    <>
      {fault.value !== null && <Notice tone="bad">{fault.value}</Notice>}
      {shown.value === null ? (
        <button type="button" onClick={() => void load()}>
          Compare the bytes
        </button>
      ) : (
        <>
          <button type="button" onClick={() => (shown.value = null)}>
            Hide the bytes
          </button>
          <SideBySide payloads={shown.value} />
        </>
      )}
    </>
  )
}

async function readPayload(transactionId: string): Promise<Payload> {
  const { message } = (await ask(bytesOperation, { transactionId })).data
  if (message?.payload == null) throw new Error('The service did not tell the bytes.')
  return message.payload
}

function SideBySide({ payloads: [stored, other] }: { payloads: readonly [Payload, Payload] }) {
  const [left, right] = compare(textOf(stored), textOf(other))
  return (
    <>
      <p class="quiet">What differs is underlined.</p>
      <div class="columns">
        <Text name="Stored first" payload={stored} pieces={left} />
        <Text name="With the same id" payload={other} pieces={right} />
      </div>
    </>
  )
}

type TextProps = { readonly name: string; readonly payload: Payload; readonly pieces: readonly Piece[] }

function Text({ name, payload, pieces }: TextProps) {
  const inBase64 = payload.text === null && payload.base64 !== null
  return (
    <div>
      <h3>
        {name}
        {inBase64 && ', in base64: it is not UTF-8'}
        {payload.state === 'CUT' && ', the first 64 KiB'}
      </h3>
      <pre tabIndex={0} aria-label={name}>
        {pieces.length === 0
          ? payload.state === 'EXPUNGED'
            ? 'Its bytes were removed.'
            : 'There is none.'
          : pieces.map(({ text, isSame }, at) =>
              isSame ? writeOutInLines(text) : <mark key={at}>{writeOutInLines(text)}</mark>,
            )}
      </pre>
    </div>
  )
}

function textOf({ text, base64 }: Payload): string {
  return text ?? base64 ?? ''
}
