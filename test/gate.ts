import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createWriteStream } from 'node:fs'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { exitCodes, runCommand } from '../src/commands/run-command.ts'
import { whyNoApacheKafka } from './support/apache-kafka/missing.ts'
import { kafkaKind, stopSharedKafka } from './support/kafka.ts'
import { ensureTestPostgres, stopTestPostgres } from './support/postgres.ts'

const usage = `Usage: npm test -- [--tests-only] [FILE …]

Everything that must hold before a commit, on the Node that runs it. All of it runs, whatever fails; the last line sums it up. A
test file that fails runs again, alone: if it passes then, it is listed as unsteady and does not count as failed.

  --tests-only  leaves out what no Node and no server makes a difference to, and test/ops, where Prometheus judges; the containers have
                a Node of their own
  FILE          these test files, or globs of them, and no others. Without --tests-only types, lint, dead code and format are left out

Where TEST_BROKER names no broker, the suites that need one run on the embedded one, and then on Apache Kafka.
  --help        this text

Ends with 0 if nothing failed, 1 if something did, 2 if it could not run.
`

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

/** More than these are no accident. */
const unsteadyFilesMax = 4

let passed = 0
let skipped = 0
const failures: string[] = []
/** What failed in a file that passed when it ran again. Each is a fault of the test or of the service, and is to be mended. */
const unsteady: string[] = []
const leftOut: string[] = []

let built = false

async function run(flags: { 'tests-only': boolean }, files: readonly string[]): Promise<number> {
  say(`Node ${process.versions.node}`)
  const testsOnly = flags['tests-only']
  if (files.length > 0 && !testsOnly)
    leftOut.push('types, lint, dead code, format and engines: test files were named')
  else await checkSources(testsOnly)
  built = await step('build', installed('tsc'), ['-p', 'tsconfig.build.json'])
  await step('console', process.execPath, ['console/build.js'])
  await startDatabase()
  const all = testsOnly ? ['--exclude=test/containers/*.test.ts', '--exclude=test/ops/*.test.ts'] : []
  await runTests(files.length > 0 ? files : all, kafkaKind())
  if (files.length === 0 && kafkaKind() === 'embedded' && process.env.TEST_BROKER === undefined)
    await runOnApacheKafka()
  for (const sentence of [await stopSharedKafka(), await stopTestPostgres()])
    if (sentence !== null) say(sentence)
  return sumUp()
}

async function checkSources(testsOnly: boolean): Promise<void> {
  // npm itself says whether every package that it installed may run on this Node.
  await step('engines', 'npm', ['ci', '--dry-run', '--engine-strict', '--loglevel=error'])
  if (testsOnly) return
  await step('types', installed('tsc'), ['--noEmit'])
  await step('types of the console', installed('tsc'), ['-p', 'console'])
  await step('lint', installed('eslint'), ['.'])
  await step('dead code', installed('knip'), [])
  await step('format', installed('prettier'), ['--check', '.'])
}

/** Whether it held. */
async function step(name: string, program: string, args: string[]): Promise<boolean> {
  const command = `${basename(program)} ${args.join(' ')}`
  say(`${name}: ${command}`)
  const child = spawn(program, args, { cwd: root, stdio: ['ignore', 'inherit', 'inherit'] })
  await once(child, 'exit')
  if (child.exitCode === 0) passed += 1
  else failures.push(`${name}: ${command} ended with exit code ${child.exitCode ?? 'none'}, see above`)
  return child.exitCode === 0
}

function installed(program: string): string {
  return join(root, 'node_modules', '.bin', program)
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

/** All that may run on either broker has run on the embedded one by now. */
async function runOnApacheKafka(): Promise<void> {
  const missing = await whyNoApacheKafka()
  if (missing === false) await runTests(await findTestsOfEitherBroker(), 'apache')
  else {
    skipped += 1
    leftOut.push(`the suites that need a broker, on Apache Kafka: ${missing}`)
  }
}

/** The tests that take the broker they are given; one that starts an Apache Kafka itself has had it. Prometheus makes no difference there. */
async function findTestsOfEitherBroker(): Promise<string[]> {
  const found: string[] = []
  for (const name of await readdir(join(root, 'test'), { recursive: true })) {
    if (!name.endsWith('.test.ts') || name.startsWith('ops/')) continue
    const text = await readFile(join(root, 'test', name), 'utf8')
    if (/support\/(kafka|line)\.ts'/.test(text) && !text.includes('startApacheKafka'))
      found.push(`test/${name}`)
  }
  return found.sort()
}

type Broker = ReturnType<typeof kafkaKind>

/** @param which files, or flags of tap; all files if it is empty */
async function runTests(which: readonly string[], broker: Broker): Promise<void> {
  const first = await runTap(which, broker, 'gate')
  passed += first.passed
  skipped += first.skipped.length
  leftOut.push(...first.skipped)
  const files = new Set(first.failures.map(fileOf))
  const again =
    files.size > 0 && files.size <= unsteadyFilesMax && !files.has('')
      ? await runTap(['--jobs=1', ...files], broker, 'again')
      : first
  const failedAgain = new Set(again.failures.map(fileOf))
  for (const each of first.failures)
    (failedAgain.has(fileOf(each)) ? failures : unsteady).push(`${broker} broker: ${each}`)
}

/** Of the test that failed; empty where tap itself did. */
function fileOf(failure: string): string {
  return /^test\/\S+\.test\.ts/.exec(failure)?.[0] ?? ''
}

/** tap's own words are kept in a file; what is printed is one line a test file. */
async function runTap(
  which: readonly string[],
  broker: Broker,
  name: string,
): Promise<Pick<TapReader, 'passed' | 'failures' | 'skipped'>> {
  say(`tests, ${broker} broker: tap ${which.join(' ')}`)
  await mkdir(join(root, '.tap'), { recursive: true })
  // One for each run, so that a matrix leaves them all.
  const output = join(root, '.tap', `${name}-${process.versions.node}-${broker}.tap`)
  const log = createWriteStream(output)
  const args = ['--reporter=tap', ...which]
  const child = spawn(installed('tap'), args, {
    cwd: root,
    // Programs that do not build are run from source, so that the tests say what is wrong with them.
    env: { ...process.env, TEST_BROKER: broker, ...(built && { TEST_BUILT: '1' }) },
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
  if (child.exitCode !== 0 && reader.failures.length === 0)
    reader.failures.push(`tests: tap ended with exit code ${child.exitCode ?? 'none'}, see ${output}`)
  return reader
}

function sumUp(): number {
  if (leftOut.length > 0) say('left out')
  for (const each of leftOut) process.stdout.write(`   ${each}\n`)
  if (unsteady.length > 0) say('unsteady: failed, and passed when the file ran again')
  for (const each of unsteady) process.stdout.write(`   ${each.replaceAll('\n', '\n   ')}\n`)
  if (failures.length > 0) say('failed')
  for (const each of failures) process.stdout.write(`   ${each.replaceAll('\n', '\n   ')}\n`)
  const tail = skipped > 0 ? `, ${skipped} skipped` : ''
  process.stdout.write(`\n${passed} passed, ${failures.length} failed${tail}\n`)
  return failures.length > 0 ? exitCodes.differs : exitCodes.done
}

function say(line: string): void {
  process.stdout.write(`== ${line}\n`)
}

process.exitCode = await runCommand({
  usage,
  options: { 'tests-only': { type: 'boolean', default: false } },
  allowPositionals: true,
  run,
})
