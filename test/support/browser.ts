import { delimiter, join } from 'node:path'
import { chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { isExecutable } from './is-executable.ts'

const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable']

/** The first browser that there is on this machine; null if there is none. */
export function findBrowser(): string | null {
  const folders = (process.env.PATH ?? '').split(delimiter)
  const paths = names.flatMap((name) => folders.map((folder) => join(folder, name)))
  return paths.find(isExecutable) ?? null
}

/**
 * A page of a real browser that can reach this machine and no other; `refused` gathers what it would have asked of others. It ends
 * with the test.
 */
export async function openPage(
  t: Pick<Test, 'teardown'>,
  executablePath: string,
): Promise<{ page: Page; refused: string[]; faults: string[] }> {
  const browser = await chromium.launch({
    executablePath,
    // Without a sandbox, because a container's root may not make one; and no other host is found.
    args: ['--no-sandbox', '--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1'],
  })
  t.teardown(() => browser.close())
  const page = await browser.newPage({ viewport: { width: 1_440, height: 900 } })
  const refused: string[] = []
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(error.message))
  page.on('console', (message) => {
    // The page's policy tells here what it did not let happen.
    if (message.type() === 'error') faults.push(message.text())
  })
  await page.route('**', async (route) => {
    const url = new URL(route.request().url())
    if (url.hostname === '127.0.0.1') return route.continue()
    refused.push(url.href)
    return route.abort()
  })
  return { page, refused, faults }
}
