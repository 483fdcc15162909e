import { useSignal } from '@preact/signals'
import { ask } from '../api/ask.ts'
import {
  cancelMutation,
  holdMutation,
  releaseMutation,
  reopenMutation,
  replayManyMutation,
  replayMutation,
  resolveMutation,
  type Operation,
  type ResolveVariables,
} from '../api/operations.ts'
import { ActionDialog, textOf } from './dialog.tsx'
import { ResolutionChoice } from './resolution.tsx'

// The refusal that asks for the confirmation.
const keyWindowPassed = 'KeyWindowPassed'

type Words = {
  readonly verb: string
  /** What it will do, before it is done. */
  readonly about: string
  readonly done: string
}

/** What an operator may decide about one message. */
export const decisions = {
  replay: {
    verb: 'Replay',
    about:
      'Sends the payment again, with the same idempotency key. If an attempt may have been paid, ask the processor first.',
    done: 'Replayed: it is due now.',
  },
  resolve: {
    verb: 'Resolve',
    about: 'Closes the dead letter: it says what became of the payment. Nothing is sent.',
    done: 'Resolved.',
  },
  reopen: {
    verb: 'Reopen',
    about: 'Opens the dead letter again. Nothing is sent until it is replayed.',
    done: 'Reopened.',
  },
  hold: {
    verb: 'Hold',
    about: 'Keeps the payment from being sent, on every instance, until it is released.',
    done: 'On hold: it is not sent until it is released.',
  },
  release: {
    verb: 'Release',
    about: 'Ends the hold: the payment is sent when it is due.',
    done: 'Released.',
  },
  cancel: {
    verb: 'Cancel',
    about: 'Makes the payment a dead letter without another attempt. It can be replayed.',
    done: 'Cancelled.',
  },
} as const satisfies Readonly<Record<string, Words>>

export type DecisionName = keyof typeof decisions

type Variables = {
  readonly transactionId: string
  readonly reason: string
  readonly confirmNotCarriedOut?: true
}
type Answered = Readonly<Record<string, { readonly __typename: string; readonly text?: string }>>

const plain: Readonly<Record<Exclude<DecisionName, 'resolve'>, Operation<Answered, Variables>>> = {
  replay: replayMutation,
  reopen: reopenMutation,
  hold: holdMutation,
  release: releaseMutation,
  cancel: cancelMutation,
}

type Props = {
  readonly name: DecisionName
  readonly transactionId: string
  /** Whether an attempt may have been carried out. */
  readonly inDoubt: boolean
  readonly onClose: (done: boolean) => void
}

/** Asks for the reason of a decision about one message, and sends it. */
export function DecisionDialog({ name, transactionId, inDoubt, onClose }: Props) {
  const isPast = useSignal(false)
  const { verb, about } = decisions[name]
  const common = { title: `${verb} ${transactionId}`, about, verb, onClose }
  if (name === 'resolve')
    return (
      <ActionDialog {...common} {...resolving([transactionId])}>
        <ResolutionFields />
      </ActionDialog>
    )
  const operation = plain[name]
  const read = (form: FormData): Variables => ({
    transactionId,
    reason: textOf(form, 'reason'),
    ...readConfirmation(form),
  })
  return (
    <ActionDialog
      {...common}
      requests={(form) => [{ operation, variables: read(form) }]}
      send={async (form) => {
        const answer = (await ask(operation, read(form))).data[name]
        if (answer?.__typename === keyWindowPassed) isPast.value = true
        return answer?.text ?? null
      }}
    >
      {name === 'replay' && (inDoubt || isPast.value) && <ConfirmationField />}
    </ActionDialog>
  )
}

type Sending = Pick<Parameters<typeof ActionDialog>[0], 'requests' | 'send'>

/** Resolves these, one after the other. What is refused is told with its id, and the others are done all the same. */
function resolving(transactionIds: readonly string[]): Sending {
  return {
    requests: (form) =>
      transactionIds.map((transactionId) => ({
        operation: resolveMutation,
        variables: { transactionId, ...readResolution(form) },
      })),
    send: async (form) => {
      const refusals: string[] = []
      for (const transactionId of transactionIds) {
        const { data } = await ask(resolveMutation, { transactionId, ...readResolution(form) })
        if (data.resolve.text !== undefined) refusals.push(`${transactionId}: ${data.resolve.text}`)
      }
      return tell(refusals, transactionIds.length)
    },
  }
}

/** @param onPast called where one needs a confirmation that it was not carried out */
function replaying(transactionIds: readonly string[], onPast: () => void): Sending {
  const read = (form: FormData) => ({
    transactionIds,
    reason: textOf(form, 'reason'),
    ...readConfirmation(form),
  })
  return {
    requests: (form) => [{ operation: replayManyMutation, variables: read(form) }],
    send: async (form) => {
      const { replayMany } = (await ask(replayManyMutation, read(form))).data
      if (replayMany.some(({ __typename }) => __typename === keyWindowPassed)) onPast()
      const refusals = replayMany.flatMap(({ transactionId, text }) =>
        text === undefined ? [] : [`${transactionId ?? ''}: ${text}`],
      )
      return tell(refusals, transactionIds.length)
    },
  }
}

function tell(refusals: readonly string[], all: number): string | null {
  if (refusals.length === 0) return null
  return `Done: ${all - refusals.length}. Refused: ${refusals.length}. ${refusals.join(' ')}`
}

type ManyProps = {
  readonly name: 'replay' | 'resolve'
  readonly transactionIds: readonly string[]
  /** Whether of one of them an attempt may have been carried out. */
  readonly inDoubt: boolean
  readonly onClose: (done: boolean) => void
}

/** Asks for one reason for several messages. */
export function DecisionForMany({ name, transactionIds, inDoubt, onClose }: ManyProps) {
  const isPast = useSignal(false)
  const { verb, about } = decisions[name]
  const title = `${verb} ${transactionIds.length} ${transactionIds.length === 1 ? 'payment' : 'payments'}`
  const sending =
    name === 'resolve' ? resolving(transactionIds) : replaying(transactionIds, () => (isPast.value = true))
  return (
    <ActionDialog title={title} about={about} verb={verb} onClose={onClose} {...sending}>
      {name === 'resolve' && <ResolutionFields />}
      {name === 'replay' && (inDoubt || isPast.value) && <ConfirmationField isOfMany />}
    </ActionDialog>
  )
}

/** What the processor is asked before a payment in doubt is sent again: it may have forgotten the key. */
function ConfirmationField({ isOfMany = false }: { isOfMany?: boolean }) {
  return (
    <label>
      <input name="notCarriedOut" type="checkbox" value="yes" />{' '}
      {isOfMany
        ? 'I asked the processor about each that is in doubt: it was not carried out'
        : 'I asked the processor: it was not carried out'}
    </label>
  )
}

function readConfirmation(form: FormData): { readonly confirmNotCarriedOut?: true } {
  return textOf(form, 'notCarriedOut') === 'yes' ? { confirmNotCarriedOut: true } : {}
}

/** What became of the payment, and what proves it. */
function ResolutionFields() {
  return (
    <>
      <ResolutionChoice label="What became of the payment" />
      <label>
        Evidence <span class="quiet">(a statement’s or a ticket’s number; no card number, no person)</span>
        <input name="evidence" maxLength={2_000} autoComplete="off" />
      </label>
    </>
  )
}

function readResolution(form: FormData): Omit<ResolveVariables, 'transactionId'> {
  const evidence = textOf(form, 'evidence')
  return {
    as: textOf(form, 'as') as ResolveVariables['as'],
    reason: textOf(form, 'reason'),
    ...(evidence === '' ? {} : { evidence }),
  }
}
