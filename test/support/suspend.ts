import { mock } from 'node:test'
import type { Test } from 'tap'

/** The machine is suspended for so long, as it shows afterwards: the time of day has moved on, and performance.now() has not. */
export function suspend(t: Pick<Test, 'teardown'>, ms: number): void {
  const before = Date.now.bind(Date)
  const moved = mock.method(Date, 'now', () => before() + ms)
  t.teardown(() => moved.mock.restore())
}
