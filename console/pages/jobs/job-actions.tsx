import { useSignal } from '@preact/signals'
import { ask } from '../../api/ask.ts'
import {
  abortReplayMutation,
  changePaceMutation,
  pauseReplayMutation,
  resumeReplayMutation,
} from '../../api/operations.ts'
import { mayDecide } from '../../api/session.ts'
import { ActionDialog, textOf } from '../../parts/dialog.tsx'
import type { JobNow } from './job.tsx'

const verbs = { pause: 'Pause', resume: 'Resume', pace: 'Change pace', abort: 'Abort' } as const

type ActionName = keyof typeof verbs

/** What an operator may decide about a job as it stands. */
export function JobActions({ job }: { job: Pick<JobNow, 'id' | 'kind' | 'state'> }) {
  const open = useSignal<ActionName | null>(null)
  const names = findActions(job)
  if (!mayDecide.value) return null
  return (
    <>
      {names.length > 0 && (
        <div class="row">
          {names.map((name) => (
            <button key={name} type="button" onClick={() => (open.value = name)}>
              {verbs[name]} …
            </button>
          ))}
        </div>
      )}
      {open.value !== null && (
        <JobAction name={open.value} job={job.id} onClose={() => (open.value = null)} />
      )}
    </>
  )
}

function findActions({ kind, state }: Pick<JobNow, 'kind' | 'state'>): readonly ActionName[] {
  const pace: readonly ActionName[] = kind === 'REPLAY' ? ['pace'] : []
  switch (state) {
    case 'RUNNING':
    case 'WAITING':
      return ['pause', ...pace, 'abort']
    case 'PAUSED':
    case 'STOPPED':
      return ['resume', ...pace, 'abort']
    case 'ABORTED':
    case 'DONE':
      return []
  }
}

type Props = { readonly name: ActionName; readonly job: string; readonly onClose: () => void }

function JobAction({ name, job, onClose }: Props) {
  const common = { title: `${verbs[name]}: job ${job}`, verb: verbs[name], onClose }
  const read = (form: FormData) => ({ job, reason: textOf(form, 'reason') })
  const readPace = (form: FormData) => ({ ...read(form), perSecond: Number(textOf(form, 'perSecond')) })
  switch (name) {
    case 'pause':
      return (
        <ActionDialog
          {...common}
          about="It takes no more dead letters until it is resumed. Payments that it has replayed are sent all the same."
          requests={(form) => [{ operation: pauseReplayMutation, variables: read(form) }]}
          send={async (form) => (await ask(pauseReplayMutation, read(form))).data.pauseReplay.text ?? null}
        />
      )
    case 'resume':
      return (
        <ActionDialog
          {...common}
          about="It goes on with what is left. Its pace rises anew, and its stop counts anew."
          requests={(form) => [{ operation: resumeReplayMutation, variables: read(form) }]}
          send={async (form) => (await ask(resumeReplayMutation, read(form))).data.resumeReplay.text ?? null}
        />
      )
    case 'pace':
      return (
        <ActionDialog
          {...common}
          about="It has this pace at once, and does not rise any more."
          requests={(form) => [{ operation: changePaceMutation, variables: readPace(form) }]}
          send={async (form) => (await ask(changePaceMutation, readPace(form))).data.changePace.text ?? null}
        >
          <label>
            Replays a second
            <input name="perSecond" type="number" min={0.01} max={1_000_000} step="any" required />
          </label>
        </ActionDialog>
      )
    case 'abort':
      return (
        <ActionDialog
          {...common}
          about="It ends for good. The dead letters that are left stay as they are; payments that it has replayed are sent all the same."
          requests={(form) => [{ operation: abortReplayMutation, variables: read(form) }]}
          send={async (form) => (await ask(abortReplayMutation, read(form))).data.abortReplay.text ?? null}
        />
      )
  }
}
