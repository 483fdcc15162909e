import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ensureTestPostgres, stopTestPostgres } from './support/postgres.ts'

// `npm test`: everything that must hold before a commit. All of it runs, whatever fails; the last line sums it up.

/**
 * Reads what `tap --reporter=tap` prints: TAP version 14, where a comment opens a subtest, four spaces indent it, and a point
 * of its own sums it up. Assertions are counted, sums are not; but a sum that failed without a failed assertion (a timeout,
 * an exit in the middle) is a failure too.
 */
class TapReader {
  passed = 0
  /** Each with the way to it and tap's explanation. */
  readonly failures: string[] = []
  /** Each with the way to it and its reason. */
  readonly skipped: string[] = []
  /** The open subtest at each depth, with the number of failures when it was opened. */
  readonly #open: ({ name: string; failures: number } | undefined)[] = []
  /** Where the explanation that is being read stands, and whether it belongs to a failure of ours. */
  #explanation: { indent: number; wanted: boolean } | undefined
  #failedLast = false

  take(line: string): void {
    const indent = line.search(/\S|$/)
    const text = line.slice(indent)
    if (this.#explanation) this.#explain(line, this.#explanation)
    else if (text === '---') this.#explanation = { indent, wanted: this.#failedLast }
    else this.#takeTest(text, indent / 4)
  }

  #takeTest(text: string, depth: number): void {
    const subtest = /^# Subtest: (.*)$/.exec(text)
    const point = /^(not )?ok\b(?: \d+)?(?: - )?(.*)$/.exec(text)
    if (subtest) this.#open[depth] = { name: subtest[1] ?? '', failures: this.failures.length }
    if (point) this.#takePoint(point[1] === undefined, point[2] ?? '', depth)
  }

  #takePoint(ok: boolean, name: string, depth: number): void {
    const sum = this.#open[depth]
    const path = [...this.#open.slice(0, depth).map((subtest) => subtest?.name), name].join(' > ')
    this.#open.length = depth
    this.#failedLast = false
    if (/ # (SKIP|TODO)\b/i.test(name)) this.skipped.push(path)
    else if (ok && !sum) this.passed += 1
    else if (!ok && (!sum || sum.failures === this.failures.length)) {
      this.failures.push(path)
      this.#failedLast = true
    }
  }

  #explain(line: string, { indent, wanted }: { indent: number; wanted: boolean }): void {
    if (line.slice(indent) === '...') this.#explanation = undefined
    else if (wanted) this.failures.push(`${this.failures.pop() ?? ''}\n  ${line.slice(indent)}`)
  }
}

const root = fileURLToPath(new URL('..', import.meta.url))
const output = join(root, '.tap', 'gate.tap')

let passed = 0
let skipped = 0
const failures: string[] = []
const leftOut: string[] = []

const files = process.argv.slice(2)
if (files.length === 0) {
  await step('types', 'tsc', ['--noEmit'])
  await step('lint', 'eslint', ['.'])
  await step('format', 'prettier', ['--check', '.'])
} else {
  leftOut.push('types, lint and format: test files were named')
}
await startDatabase()
await runTests()
say(await stopTestPostgres())
sumUp()

async function step(name: string, program: string, args: string[]): Promise<void> {
  say(`${name}: ${program} ${args.join(' ')}`)
  const child = spawn(join(root, 'node_modules', '.bin', program), args, {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  await once(child, 'exit')
  if (child.exitCode === 0) passed += 1
  else failures.push(`${name}: ${program} ended with exit code ${child.exitCode ?? 'none'}, see above`)
}

/** Started once here, so that no test file has to, and so that a failure to start reads as what it is. */
async function startDatabase(): Promise<void> {
  try {
    const { host, port } = new URL(await ensureTestPostgres())
    say(`PostgreSQL: ${host}${port ? '' : ' (default port)'}`)
  } catch (error) {
    failures.push(`PostgreSQL: ${error instanceof Error ? error.message : String(error)}`)
  }
}

/** tap's own words are kept in a file; what is printed is one line a test file, and at the end whatever failed. */
async function runTests(): Promise<void> {
  say(`tests: tap ${files.join(' ')}`)
  await mkdir(join(root, '.tap'), { recursive: true })
  const log = createWriteStream(output)
  const args = ['--reporter=tap', ...files]
  const child = spawn(join(root, 'node_modules', '.bin', 'tap'), args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  const reader = new TapReader()
  for await (const line of createInterface({ input: child.stdout })) {
    log.write(`${line}\n`)
    reader.take(line)
    if (/^(not )?ok /.test(line)) process.stdout.write(`   ${line}\n`)
  }
  await exit
  log.end()
  passed += reader.passed
  skipped += reader.skipped.length
  leftOut.push(...reader.skipped)
  failures.push(...reader.failures)
  if (child.exitCode !== 0 && reader.failures.length === 0)
    failures.push(`tests: tap ended with exit code ${child.exitCode ?? 'none'}, see ${output}`)
}

function sumUp(): void {
  if (leftOut.length > 0) say('left out')
  for (const each of leftOut) process.stdout.write(`   ${each}\n`)
  if (failures.length > 0) say('failed')
  for (const each of failures) process.stdout.write(`   ${each.replaceAll('\n', '\n   ')}\n`)
  const tail = skipped > 0 ? `, ${skipped} skipped` : ''
  process.stdout.write(`\n${passed} passed, ${failures.length} failed${tail}\n`)
  process.exitCode = failures.length > 0 ? 1 : 0
}

function say(line: string): void {
  process.stdout.write(`== ${line}\n`)
}
