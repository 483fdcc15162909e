import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CDPSession, Page } from 'playwright-core'
import { exitCodes, readCount, runCommand } from '../src/commands/run-command.ts'
import { migrate } from '../src/runtime/migrate.ts'
import { findBrowser, openPage } from '../test/support/browser.ts'
import { generateMessages } from './generate-messages.ts'
import { connect, fill, settled, untilReady, verify } from './line.ts'
import { describeMachine } from './measure.ts'
import { onlyDeadLetters } from './message-scripts.ts'
import {
  namedOptions,
  namedUsage,
  readNamed,
  startParts,
  startService,
  type NamedFlags,
  type RunningService,
} from './parts.ts'

const usage = `Usage: npm run bench:console -- [--letters N] [--rate N] [--seconds N] [--json F] [--stock]

Opens each page of the console in a browser, in a database with many dead letters, while payments flow. Then it watches the page Now.

  --letters N  open dead letters (default 1000000)
  --rate N     payments a second (default 500)
  --seconds N  how long Now is watched (default 300)
  --json F     writes the figures to F too

${namedUsage}

First paint is the browser's own figure, of a new page. The list of a page is there when its first row or sentence is. The page's memory is
what is left of its heap after a collection. It needs Debian's chromium or a google-chrome on the PATH.

  --help  this text

Ends with 0 if the console counted what the log has and the checker finds nothing wrong, 1 if not, 2 if it could not run.
`

/** The pages, and what each shows when it has its data. */
const pages = {
  now: 'main h2',
  failures: 'main tbody tr',
  'dead-letters': 'main tbody tr',
  jobs: 'main :text("There is no job"), main tbody tr',
  partitions: 'main tbody tr',
  journal: 'main :text("No decision"), main tbody tr',
} as const

const heapEveryMs = 10_000

type PageFigure = { page: string; firstPaintMs: number; dataMs: number }

interface Flags extends NamedFlags {
  letters: string
  rate: string
  seconds: string
  json?: string | undefined
}

async function run(values: Flags): Promise<number> {
  const letters = readCount('letters', values.letters, 1_000)
  const rate = readCount('rate', values.rate)
  const seconds = readCount('seconds', values.seconds)
  const browser = findBrowser()
  if (browser === null) throw new Error('There is no chromium or google-chrome on the PATH.')
  const parts = await startParts(readNamed(values))
  const client = await connect(parts)
  const teardowns: (() => unknown)[] = []
  let service: RunningService | null = null
  try {
    await migrate({ connectionString: parts.databaseUrl })
    await generateMessages(parts.databaseUrl, { count: letters, scripts: onlyDeadLetters, days: 1 })
    await fill(parts, 0, null)
    service = await startService(parts, { MAX_CONCURRENT: '500' })
    await untilReady(service)
    const opened = await openPage({ teardown: (end) => void teardowns.push(end) }, browser)
    const count = rate * (seconds + 10 * Object.keys(pages).length)
    const filled = fill(parts, count, rate)
    // Whoever waits for it is told.
    filled.catch(() => undefined)
    const figures = []
    for (const [name, shown] of Object.entries(pages))
      figures.push(await timePage(opened.page, service.url, name, shown))
    await opened.page.goto(`${service.url}/console#/now`)
    const heapMiB = await watchHeap(opened.page, seconds)
    await filled
    await settled(client, letters + count, service)
    const isCounted = await counts(opened.page, letters, count)
    await service.stop()
    const { isClean } = verify(parts)
    for (const { page, firstPaintMs, dataMs } of figures)
      process.stdout.write(`${page.padEnd(14)} first paint ${firstPaintMs} ms, its data after ${dataMs} ms\n`)
    process.stdout.write(
      `now for ${seconds} s, ${rate} payments a second: heap of the page every ${heapEveryMs / 1_000} s in MiB: ${heapMiB.join(' ')}\n` +
        `${isCounted ? 'counted' : 'DID NOT COUNT'} all ${count} payments and ${letters} dead letters; faults in the page: ${opened.faults.length}\n` +
        `checker ${isClean ? 'clean' : 'FOUND DIFFERENCES'}\nservers ${parts.description}\n`,
    )
    if (values.json !== undefined) {
      const document = {
        machine: describeMachine(),
        servers: parts.description,
        letters,
        rate,
        seconds,
        figures,
        heapMiB,
      }
      writeFileSync(values.json, `${JSON.stringify(document, null, 2)}\n`)
    }
    return isCounted && isClean && opened.faults.length === 0 ? exitCodes.done : exitCodes.differs
  } finally {
    for (const end of teardowns.reverse()) await end()
    await service?.stop()
    await client.end()
    await parts.stop()
  }
}

/** Loads the page anew, as a link does that an alert has. */
async function timePage(page: Page, url: string, name: string, shown: string): Promise<PageFigure> {
  await page.goto('about:blank')
  const askedAt = performance.now()
  await page.goto(`${url}/console#/${name}`)
  await page.locator(shown).first().waitFor()
  const dataMs = Math.round(performance.now() - askedAt)
  const paint: unknown = await page.evaluate(
    `performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? null`,
  )
  return { page: name, firstPaintMs: Math.round(Number(paint)), dataMs }
}

async function watchHeap(page: Page, seconds: number): Promise<number[]> {
  const session = await page.context().newCDPSession(page)
  const heap: number[] = []
  for (let at = 0; at <= seconds * 1_000; at += heapEveryMs) {
    heap.push(await readHeap(session))
    await sleep(heapEveryMs)
  }
  return heap
}

async function readHeap(session: CDPSession): Promise<number> {
  await session.send('HeapProfiler.collectGarbage')
  const { usedSize } = await session.send('Runtime.getHeapUsage')
  return Math.round((usedSize / 1_048_576) * 10) / 10
}

/** Whether the page, which was never loaded again, ends with the numbers that the log has. */
async function counts(page: Page, letters: number, delivered: number): Promise<boolean> {
  const wanted = [letters, delivered].map((n) => n.toLocaleString('en-US'))
  const isShown = async (): Promise<boolean> => {
    const text = await page.locator('main').innerText()
    return wanted.every((each) => text.includes(each))
  }
  for (let tries = 0; tries < 60; tries++) {
    if (await isShown()) return true
    await sleep(500)
  }
  return false
}

process.exitCode = await runCommand({
  usage,
  options: {
    letters: { type: 'string', default: '1000000' },
    rate: { type: 'string', default: '500' },
    seconds: { type: 'string', default: '300' },
    json: { type: 'string' },
    ...namedOptions,
  },
  run,
})
