import { ask } from '../../api/ask.ts'
import {
  pauseDestinationMutation,
  resumeDestinationMutation,
  setRateLimitMutation,
} from '../../api/operations.ts'
import { ActionDialog, textOf } from '../../parts/dialog.tsx'
import { serviceNowMs } from '../../parts/time.tsx'

export type DestinationActionName = 'pause' | 'resume' | 'rate'

type Props = { readonly name: DestinationActionName; readonly onClose: () => void }

/** Pauses or resumes the destination, or sets its rate. */
export function DestinationAction({ name, onClose }: Props) {
  switch (name) {
    case 'pause':
      return (
        <ActionDialog
          title="Pause the destination"
          about="No instance starts an attempt any more. Open attempts end as usual, and records are still stored."
          verb="Pause"
          requests={(form) => [{ operation: pauseDestinationMutation, variables: readPause(form) }]}
          send={async (form) =>
            (await ask(pauseDestinationMutation, readPause(form))).data.pauseDestination.text ?? null
          }
          onClose={onClose}
        >
          <label>
            Minutes until it resumes by itself <span class="quiet">(empty: until somebody resumes it)</span>
            <input name="minutes" type="number" min={1} max={100_000} />
          </label>
        </ActionDialog>
      )
    case 'resume':
      return (
        <ActionDialog
          title="Resume the destination"
          about="Payments are sent again: a few at first, then twice as many each second."
          verb="Resume"
          requests={(form) => [{ operation: resumeDestinationMutation, variables: readReason(form) }]}
          send={async (form) =>
            (await ask(resumeDestinationMutation, readReason(form))).data.resumeDestination.text ?? null
          }
          onClose={onClose}
        />
      )
    case 'rate':
      return (
        <ActionDialog
          title="Set the rate limit"
          about="Limits how many attempts all instances together start each second, until it is set again."
          verb="Set rate"
          requests={(form) => [{ operation: setRateLimitMutation, variables: readRate(form) }]}
          send={async (form) =>
            (await ask(setRateLimitMutation, readRate(form))).data.setRateLimit.text ?? null
          }
          onClose={onClose}
        >
          <label>
            Attempts a second <span class="quiet">(0: no limit)</span>
            <input name="perSecond" type="number" min={0} max={1_000_000} step="any" required />
          </label>
        </ActionDialog>
      )
  }
}

function readReason(form: FormData) {
  return { reason: textOf(form, 'reason') }
}

function readPause(form: FormData) {
  const minutes = textOf(form, 'minutes')
  const until = minutes === '' ? null : new Date(serviceNowMs() + Number(minutes) * 60_000).toISOString()
  return { ...readReason(form), until }
}

function readRate(form: FormData) {
  return { ...readReason(form), perSecond: Number(textOf(form, 'perSecond')) }
}
