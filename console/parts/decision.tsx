import { ask } from '../api/ask.ts'
import {
  cancelMutation,
  holdMutation,
  releaseMutation,
  reopenMutation,
  replayMutation,
  resolveMutation,
  type Operation,
  type ResolveVariables,
} from '../api/operations.ts'
import { ActionDialog, textOf } from './dialog.tsx'

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

type Variables = { readonly transactionId: string; readonly reason: string }
type Answered = Readonly<Record<string, { readonly text?: string }>>

const plain: Readonly<Record<Exclude<DecisionName, 'resolve'>, Operation<Answered, Variables>>> = {
  replay: replayMutation,
  reopen: reopenMutation,
  hold: holdMutation,
  release: releaseMutation,
  cancel: cancelMutation,
}

const resolutions: readonly (readonly [ResolveVariables['as'], string])[] = [
  ['CARRIED_OUT', 'It was carried out, by the processor or by hand'],
  ['NOT_CARRIED_OUT', 'It was not carried out, and will not be'],
  ['DUPLICATE', 'Another payment stands for it'],
  ['IGNORED', 'There is nothing to pay: a test, a broken record'],
]

type Props = {
  readonly name: DecisionName
  readonly transactionId: string
  readonly onClose: (done: boolean) => void
}

/** Asks for the reason of a decision about one message, and sends it. */
export function DecisionDialog({ name, transactionId, onClose }: Props) {
  const { verb, about } = decisions[name]
  const common = { title: `${verb} ${transactionId}`, about, verb, onClose }
  if (name === 'resolve')
    return (
      <ActionDialog
        {...common}
        operation={resolveMutation}
        variables={(form) => ({ transactionId, ...readResolution(form) })}
        send={async (variables) => (await ask(resolveMutation, variables)).data.resolve.text ?? null}
      >
        <ResolutionFields />
      </ActionDialog>
    )
  const operation = plain[name]
  return (
    <ActionDialog
      {...common}
      operation={operation}
      variables={(form) => ({ transactionId, reason: textOf(form, 'reason') })}
      send={async (variables) => (await ask(operation, variables)).data[name]?.text ?? null}
    />
  )
}

/** What became of the payment, and what proves it. */
function ResolutionFields() {
  return (
    <>
      <label>
        What became of the payment
        <select name="as" required defaultValue="">
          <option value="" disabled>
            Choose …
          </option>
          {resolutions.map(([value, words]) => (
            <option key={value} value={value}>
              {words}
            </option>
          ))}
        </select>
      </label>
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
