import { forgetToken, giveToken, refusedToken, token, viewer } from '../api/session.ts'
import { textOf } from '../parts/dialog.tsx'
import { Foreign } from '../parts/foreign.tsx'
import { formatName } from '../parts/format.ts'
import { Notice } from '../parts/notice.tsx'

/** Asks for a token where the API wants one. */
export function TokenForm() {
  const give = (event: Event): void => {
    event.preventDefault()
    giveToken(textOf(new FormData(event.currentTarget as HTMLFormElement), 'token'))
  }
  return (
    <form class="narrow" onSubmit={give}>
      <Notice tone="bad">
        {token.value === null ? 'This service answers only with a token.' : refusedToken.value}
      </Notice>
      <label>
        Token
        <input name="token" type="password" required autoComplete="off" autoFocus />
      </label>
      <p class="quiet">It is kept for this tab only, and gone when the tab is closed.</p>
      <button type="submit" class="main">
        Use token
      </button>
    </form>
  )
}

/** Who asks, and the way out. */
export function Who() {
  if (viewer.value === null) return null
  const { name, role } = viewer.value
  return (
    <span class="row">
      <span>
        <Foreign text={name} />, {formatName(role)}
      </span>
      {token.value !== null && (
        <button type="button" onClick={forgetToken}>
          Forget token
        </button>
      )}
    </span>
  )
}
