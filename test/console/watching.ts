import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readFile } from 'node:fs/promises'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import type { Access } from '../../src/api/access.ts'
import { findBrowser, openPage } from '../support/browser.ts'

const root = new URL('../../', import.meta.url)

const browser = findBrowser()
export const skip = browser === null && 'no chromium or google-chrome on the PATH: apt-get install chromium'

/** Builds the console where it is behind its source, as `npm start` does. */
export async function build(): Promise<void> {
  await promisify(execFile)(process.execPath, [fileURLToPath(new URL('console/build.js', root))])
}

/** A page at this place of the console, and all that went wrong in it. */
export async function watch(t: Pick<Test, 'teardown'>, url: string) {
  const opened = await openPage(t, browser ?? '')
  const go = (place: string): Promise<unknown> => opened.page.goto(`${url}/console#/${place}`)
  return { ...opened, go }
}

/** Answers the form that asks for a token. */
export async function giveToken(page: Page, token: string): Promise<void> {
  await page.getByLabel('Token', { exact: true }).fill(token)
  await page.keyboard.press('Enter')
}

/** What axe finds wrong on the page as it is, by WCAG 2.2 A and AA. */
export async function findBarriers(page: Page): Promise<string[]> {
  axe ??= await readFile(fileURLToPath(import.meta.resolve('axe-core/axe.min.js')), 'utf8')
  await page.evaluate(axe)
  const found: unknown = await page.evaluate(`axe
    .run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'] })
    .then(({ violations }) => violations.map(({ id, nodes }) => id + ': ' + nodes[0].html))`)
  return found as string[]
}

let axe: string | undefined

/** A viewer's and an operator's token, which are secret-NAME. */
export const guarded: Access = {
  tokens: [token('victor', 'viewer'), token('olga', 'operator')],
  open: false,
  introspection: true,
}

function token(name: string, role: 'viewer' | 'operator') {
  return { name, role, sha256: createHash('sha256').update(`secret-${name}`).digest('hex') }
}

/** Somebody else's operation, and its data. */
export async function graphql(port: number, query: string, variables = {}): Promise<unknown> {
  const response = await fetch(`http://127.0.0.1:${port}/graphql`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  return ((await response.json()) as { data: unknown }).data
}
