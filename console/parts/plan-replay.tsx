import { useSignal } from '@preact/signals'
import { ask } from '../api/ask.ts'
import {
  planReplayMutation,
  resolveManyMutation,
  startReplayMutation,
  type PlanReplayVariables,
  type ResolveManyVariables,
} from '../api/operations.ts'
import { mayDecide } from '../api/session.ts'
import { go, link } from '../router.ts'
import { ActionDialog, textOf } from './dialog.tsx'
import { PlanFacts, type Plan } from './plan-facts.tsx'
import { ResolutionChoice } from './resolution.tsx'
import { readStart, StartFields } from './start-fields.tsx'

type Filter = PlanReplayVariables['filter']

/** Plans a replay of the open dead letters that meet a filter, shows the plan, and starts it, or resolves what it chose. */
export function PlanReplay({ filter }: { filter: Filter }) {
  const open = useSignal<'plan' | 'start' | 'resolve' | null>(null)
  const plan = useSignal<Plan | null>(null)
  const planned = plan.value
  const close = (): void => {
    open.value = null
  }
  if (!mayDecide.value) return null
  return (
    <>
      <p class="row">
        <button type="button" onClick={() => (open.value = 'plan')}>
          Plan a replay …
        </button>
        {planned !== null && (
          <button type="button" onClick={() => (open.value = 'start')}>
            Look at plan {planned.id} …
          </button>
        )}
      </p>
      {open.value === 'plan' && (
        <PlanDialog
          filter={filter}
          onPlanned={(made) => {
            plan.value = made
            open.value = 'start'
          }}
          onClose={close}
        />
      )}
      {open.value === 'start' && planned !== null && (
        <StartDialog plan={planned} onResolve={() => (open.value = 'resolve')} onClose={close} />
      )}
      {open.value === 'resolve' && planned !== null && <ResolveDialog plan={planned} onClose={close} />}
    </>
  )
}

type PlanProps = {
  readonly filter: Filter
  readonly onPlanned: (plan: Plan) => void
  readonly onClose: () => void
}

function PlanDialog({ filter, onPlanned, onClose }: PlanProps) {
  const read = (form: FormData) => ({ filter, reason: textOf(form, 'reason') })
  const made = useSignal<Plan | null>(null)
  return (
    <ActionDialog
      title="Plan a replay"
      about="Chooses the open dead letters that are listed here as they are now, and counts them. Nothing is sent yet. The replay has the reason that you give here."
      verb="Plan"
      requests={(form) => [{ operation: planReplayMutation, variables: read(form) }]}
      send={async (form) => {
        const { text, ...rest } = (await ask(planReplayMutation, read(form))).data.planReplay
        if (rest.__typename !== 'ReplayPlan') return text ?? 'Nothing was planned.'
        made.value = rest as Plan
        return null
      }}
      onClose={() => (made.value === null ? onClose() : onPlanned(made.value))}
    />
  )
}

type StartProps = { readonly plan: Plan; readonly onResolve: () => void; readonly onClose: () => void }

function StartDialog({ plan, onResolve, onClose }: StartProps) {
  return (
    <ActionDialog
      title={`Plan ${plan.id}`}
      about="Each payment is replayed once, with its idempotency key, behind live payments. What is settled in the meantime, or can never be sent, is skipped."
      verb="Start the replay"
      hasReason
      requests={(form) => [{ operation: startReplayMutation, variables: readStart(plan, form) }]}
      send={async (form) =>
        (await ask(startReplayMutation, readStart(plan, form))).data.startReplay.text ?? null
      }
      onClose={(isDone) => (isDone ? go(link('jobs', plan.id)) : onClose())}
    >
      <PlanFacts plan={plan} />
      <p>
        <button type="button" onClick={onResolve}>
          Resolve them instead …
        </button>
      </p>
      <StartFields plan={plan} />
    </ActionDialog>
  )
}

function ResolveDialog({ plan, onClose }: Omit<StartProps, 'onResolve'>) {
  const read = (form: FormData): ResolveManyVariables => ({
    plan: plan.id,
    as: textOf(form, 'as') as ResolveManyVariables['as'],
    reason: textOf(form, 'reason'),
  })
  return (
    <ActionDialog
      title={`Resolve what plan ${plan.id} chose`}
      about="Closes each of these dead letters, also those that can never be sent: it says what became of the payments. Nothing is sent."
      verb="Resolve all"
      requests={(form) => [{ operation: resolveManyMutation, variables: read(form) }]}
      send={async (form) => (await ask(resolveManyMutation, read(form))).data.resolveMany.text ?? null}
      onClose={(isDone) => (isDone ? go(link('jobs', plan.id)) : onClose())}
    >
      <PlanFacts plan={plan} />
      <ResolutionChoice label="What became of the payments" />
    </ActionDialog>
  )
}
