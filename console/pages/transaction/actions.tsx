import { useSignal } from '@preact/signals'
import { mayDecide } from '../../api/session.ts'
import { DecisionDialog, decisions, type DecisionName } from '../../parts/decision.tsx'
import { Notice } from '../../parts/notice.tsx'
import type { Message } from './read-life.ts'

/** What an operator may do with this message as it is now. */
export function Actions({ message, onDone }: { message: Message; onDone: () => void }) {
  const open = useSignal<DecisionName | null>(null)
  const done = useSignal<string | null>(null)
  if (!mayDecide.value) return null
  const names = findPossible(message)
  return (
    <section aria-label="Actions">
      <div class="row">
        {names.map((name) => (
          <button
            key={name}
            type="button"
            onClick={() => {
              open.value = name
              done.value = null
            }}
          >
            {decisions[name].verb} …
          </button>
        ))}
        {names.length === 0 && <span class="quiet">Nothing can be decided about it now.</span>}
      </div>
      {done.value !== null && <Notice tone="good">{done.value}</Notice>}
      {open.value !== null && (
        <DecisionDialog
          name={open.value}
          transactionId={message.transactionId}
          inDoubt={message.outcomeUnknown}
          onClose={(isDone) => {
            if (isDone && open.value !== null) {
              done.value = decisions[open.value].done
              onDone()
            }
            open.value = null
          }}
        />
      )}
    </section>
  )
}

function findPossible({ status, held, resolution, replayable }: Message): DecisionName[] {
  const waits = status === 'PENDING' || status === 'FAILED'
  const isOpen = status === 'DEAD_LETTER' && resolution === null
  const possible: readonly (readonly [DecisionName, boolean])[] = [
    ['replay', replayable],
    ['resolve', isOpen],
    ['reopen', status === 'DEAD_LETTER' && resolution !== null],
    ['hold', waits && !held],
    ['release', waits && held],
    ['cancel', waits],
  ]
  return possible.flatMap(([name, is]) => (is ? [name] : []))
}
