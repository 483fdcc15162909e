// After an answer the page may be drawn more than once; the last one counts.
const settleMs = 50

/**
 * Keeps the focus at a sensible place when what had it goes away, such as the button of a decision that was made: a browser would let it
 * fall to the top of the page, and whoever works by the keyboard would begin anew (WCAG 2.4.3). It goes to the heading of the section that
 * is left.
 */
export function keepFocus(): void {
  /** From what had the focus last, outwards; empty where the reader has left it. */
  let way: readonly Element[] = []
  let timer: ReturnType<typeof setTimeout> | undefined
  const note = (event: Event): void => {
    way = event.composedPath().filter((each) => each instanceof Element)
  }
  const check = (): void => {
    const [last] = way
    if (last === undefined || !isNowhere() || (last.isConnected && !last.matches(':disabled'))) return
    const near = way.find((each) => each.isConnected && each.matches('section, main'))
    const heading = near?.querySelector('h1, h2') ?? document.querySelector('h1')
    if (!(heading instanceof HTMLElement)) return
    heading.tabIndex = -1
    heading.focus({ preventScroll: true })
  }
  addEventListener('focusin', note)
  addEventListener('pointerdown', (event) => {
    const isAtControl =
      event.target instanceof Element &&
      event.target.closest('a, button, input, select, textarea, summary, [tabindex]') !== null
    if (isAtControl) note(event)
    else way = []
  })
  new MutationObserver(() => {
    clearTimeout(timer)
    timer = setTimeout(check, settleMs)
  }).observe(document.body, { childList: true, subtree: true, attributeFilter: ['disabled'] })
}

function isNowhere(): boolean {
  return document.activeElement === null || document.activeElement === document.body
}
