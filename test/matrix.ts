import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { delimiter, dirname } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { exitCodes, runCommand } from '../src/commands/run-command.ts'
import { whyNoContainers } from './support/containers.ts'

const usage = `Usage: npm run test:matrix

The gate on every Node that the service supports, one after the other; the last line sums them up.

  --help  this text

Ends with 0 if nothing failed, 1 if something did, 2 if it could not run.
`

type Row = {
  /** The newest of its major when it was written down. Where that is what runs this, it is used as it is. */
  readonly node: string
  /** What else is different in this row, as the tests' own variables. */
  readonly environment: Readonly<Record<string, string>>
  /** The test files, as globs; all of the gate where none are named. */
  readonly files?: readonly string[]
  /** Why there can be no such row on this machine; false where there can be. */
  readonly needs?: () => Promise<string | false>
}

type Sum = { passed: number; failed: number; skipped: number }

/** What each row's gate told under these headings is told again at the end, where a reader looks first. */
const told = { unsteady: [] as string[], failed: [] as string[] }

/** The rows that this machine cannot have, each with the reason. */
const leftOut: string[] = []

/** What depends on the servers: whatever stores, reads, delivers, or loses one of them. Three that take long and bring their own are enough once. */
const serverSuites = [
  'test/{archive,commands,dispatch,flow,ingest,kafka,wake}/*.test.ts',
  'test/faults/!(kafka-cluster|soak|torture).test.ts',
  'test/log/*/*.test.ts',
  'test/{runtime,verify}/*.test.ts',
  'test/schema.test.ts',
]

/** What depends on Node: sockets, streams, HTTP, processes, and all that is built on them. What runs in a browser does so on each Node alike. */
const nodeSuites = [
  'test/{api,deliver,message,tqp}/**/!(playground).test.ts',
  'test/{commands,dispatch,embedded,ingest,wake}/*.test.ts',
  'test/flow/{deliver-all,drain,replay,server,start-up,subscribers}.test.ts',
  'test/{config,schema}.test.ts',
]

/** What asks PostgreSQL for anything that one of its majors may do in another way. */
const databaseSuites = [
  'test/log/*/*.test.ts',
  'test/runtime/*.test.ts',
  'test/verify/*.test.ts',
  'test/schema.test.ts',
]

/** What the official images are tried with: payments from end to end, and servers that are killed, started again and frozen. */
const containerSuites = [
  'test/flow/deliver-all.test.ts',
  'test/flow/idle.test.ts',
  'test/faults/postgres-crash.test.ts',
  'test/faults/postgres-pair.test.ts',
  'test/ingest/outage.test.ts',
]

const rows: readonly Row[] = [
  // The embedded servers: PostgreSQL 18, and the broker that `npm start` brings.
  { node: '20.20.2', environment: { TEST_BROKER: 'embedded' } },
  // Servers as others have them. Debian's PostgreSQL is a 15.
  {
    node: '22.23.3',
    environment: { TEST_POSTGRES: 'debian', TEST_BROKER: 'apache' },
    files: serverSuites,
  },
  {
    node: '24.21.0',
    environment: { TEST_POSTGRES: '16', TEST_BROKER: 'embedded' },
    files: [...nodeSuites, ...databaseSuites],
  },
  { node: '24.21.0', environment: { TEST_POSTGRES: '17' }, files: databaseSuites },
  {
    node: '24.21.0',
    environment: { TEST_POSTGRES: 'container:18', TEST_BROKER: 'container' },
    files: containerSuites,
    needs: whyNoContainers,
  },
]

const root = fileURLToPath(new URL('..', import.meta.url))
const sums: Sum[] = []
process.exitCode = await runCommand({
  usage,
  options: {},
  run: async () => {
    for (const [index, row] of rows.entries()) sums.push(await runRow(row, index === 0))
    return sumUp()
  },
})

/** Types, lint and format are the same on every Node: the first row has them. */
async function runRow(row: Row, isFirst: boolean): Promise<Sum> {
  const variables = Object.entries(row.environment).map((each) => each.join('='))
  const name = [`Node ${majorOf(row.node)}`, ...variables].join(', ')
  const startedAt = performance.now()
  say(name)
  const missing = (await row.needs?.()) ?? false
  if (missing !== false) {
    leftOut.push(`${name}: ${missing}`)
    say(`${name}: left out: ${missing}`)
    return { passed: 0, failed: 0, skipped: 1 }
  }
  const node = findNode(row.node)
  const args = [...(isFirst ? [] : ['--tests-only']), ...(row.files ?? [])]
  const sum = node === null ? null : await runGate(node, row.environment, args)
  const minutes = ((performance.now() - startedAt) / 60_000).toFixed(1)
  say(sum === null ? `${name}: did not come to a sum` : `${name}: ${describe(sum)}, in ${minutes} minutes`)
  return sum ?? { passed: 0, failed: 1, skipped: 0 }
}

/**
 * The Node that runs this, or the one that npm has as a package, which it keeps in its cache; null, and npm's own words, where
 * there is none.
 */
function findNode(version: string): string | null {
  if (majorOf(version) === majorOf(process.versions.node)) return process.execPath
  const name = `node-${process.platform}-${process.arch}@${version}`
  const { stdout, status } = spawnSync(
    'npm',
    ['exec', '--yes', `--package=${name}`, '--call', 'node --print process.execPath'],
    { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] },
  )
  return status === 0 ? stdout.trim() : null
}

/** By PATH too, so that npm and whatever else a test starts by name runs on that Node. */
async function runGate(node: string, environment: Row['environment'], args: string[]): Promise<Sum | null> {
  const path = [dirname(node), process.env.PATH].join(delimiter)
  const child = spawn(node, ['--import', import.meta.resolve('tsx'), 'test/gate.ts', ...args], {
    cwd: root,
    env: { ...process.env, ...environment, PATH: path },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const ended = once(child, 'exit')
  let sum: Sum | null = null
  let heading: string[] | null = null
  for await (const line of createInterface({ input: child.stdout })) {
    const found = /^(\d+) passed, (\d+) failed(?:, (\d+) skipped)?$/.exec(line)
    if (line.startsWith('== unsteady')) heading = told.unsteady
    else if (line.startsWith('== ')) heading = line === '== failed' ? told.failed : null
    else if (found === null && line !== '') heading?.push(line)
    if (found === null) process.stdout.write(`${line}\n`)
    else sum = { passed: Number(found[1]), failed: Number(found[2]), skipped: Number(found[3] ?? 0) }
  }
  await ended
  // A gate that ends badly and counts no failure is one all the same.
  if (sum !== null && sum.failed === 0 && child.exitCode !== 0) return null
  return sum
}

function majorOf(version: string): string {
  return version.slice(0, version.indexOf('.'))
}

function sumUp(): number {
  const add = (of: keyof Sum): number => sums.reduce((total, sum) => total + sum[of], 0)
  const total = { passed: add('passed'), failed: add('failed'), skipped: add('skipped') }
  if (leftOut.length > 0) say('left out, as whole rows')
  for (const line of leftOut) process.stdout.write(`   ${line}\n`)
  for (const [heading, lines] of Object.entries(told)) {
    if (lines.length > 0) say(`${heading}, in all rows`)
    for (const line of lines) process.stdout.write(`${line}\n`)
  }
  process.stdout.write(`\n${describe(total)}\n`)
  return total.failed > 0 ? exitCodes.differs : exitCodes.done
}

function describe({ passed, failed, skipped }: Sum): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`
}

function say(line: string): void {
  process.stdout.write(`==== ${line}\n`)
}
