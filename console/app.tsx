import { effect } from '@preact/signals'
import { useEffect, useRef } from 'preact/hooks'
import { ask } from './api/ask.ts'
import { viewerOperation } from './api/operations.ts'
import { refusedToken, token, viewer } from './api/session.ts'
import { Connection } from './frame/connection.tsx'
import { Find } from './frame/find.tsx'
import { Menu } from './frame/menu.tsx'
import { TokenForm, Who } from './frame/token.tsx'
import { ZoneChoice } from './frame/zone.tsx'
import { pages } from './pages.ts'
import { place } from './router.ts'

// Asked again for each token, and when the service is back: who may do what may have changed.
effect(() => {
  if (refusedToken.value === null) void learnViewer(token.value)
})

async function learnViewer(asked: string | null): Promise<void> {
  try {
    const found = (await ask(viewerOperation, {})).data.viewer
    // Another token may have taken its place meanwhile, and is asked for by itself.
    if (token.peek() === asked) viewer.value = found
  } catch {
    // A refusal shows the form for the token. An absent service is told by the line for the connection; it is asked again then.
    if (refusedToken.peek() === null && token.peek() === asked)
      setTimeout(() => void learnViewer(asked), 2_000)
  }
}

export function App() {
  const current = pages.find(({ path }) => path === place.value.page) ?? pages[0]
  const heading = useRef<HTMLHeadingElement>(null)
  const title = current?.title ?? ''
  const isFirst = useRef(true)
  useEffect(() => {
    document.title = `${title} · Transaction Queue Proxy`
    // One who does not see the page is told where he is; at the start the browser does it.
    if (!isFirst.current) heading.current?.focus()
    isFirst.current = false
  }, [title])
  return (
    <>
      <a class="skip" href="#main" onClick={(event) => skip(event, heading.current)}>
        Skip to the page
      </a>
      <header>
        <div class="top">
          <div class="row">
            <strong class="name">Transaction Queue Proxy</strong>
            <Menu />
          </div>
          <div class="row end">
            <Find />
            <ZoneChoice />
            <Who />
          </div>
        </div>
        <Connection />
      </header>
      <main id="main">
        <h1 ref={heading} tabIndex={-1}>
          {title}
        </h1>
        {refusedToken.value === null ? current && <current.component key={token.value} /> : <TokenForm />}
      </main>
    </>
  )
}

/** The address belongs to the pages, so a link within the page must not change it. */
function skip(event: Event, heading: HTMLElement | null): void {
  event.preventDefault()
  heading?.focus()
}
