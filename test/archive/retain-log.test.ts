import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import pino from 'pino'
import t, { type Test } from 'tap'
import { RetainLog } from '../../src/archive/retain-log.ts'
import { fill, first, second } from '../verify/archived.ts'
import { accepted } from '../verify/history.ts'
import { database } from '../support/database.ts'
import { mountSmallDisk, withoutMount } from '../support/small-disk.ts'
import { until } from '../support/until.ts'
import { verify } from '../../src/verify/verify.ts'

// Most of them wait for the next run, a second later.
t.jobs = 3
const besides = { buffered: true }

type Line = { event: string; reason?: string; segment?: number; path?: string }

/** The retention of a log, with an age of a second, until the test ends. */
function retain(
  t: Test,
  url: string,
  directory: string,
  given: {
    failpoint?: string
    flags?: readonly string[]
    nodeOptions?: string
    slowMs?: { first: number; next: number }
  } = {},
) {
  const lines: Line[] = []
  const logger = pino(
    { messageKey: 'event' },
    { write: (line: string) => lines.push(JSON.parse(line) as Line) },
  )
  const retainLog = new RetainLog({
    retention: { retainMs: 1_000, text: '1s', directory },
    instance: 'instance-1',
    environment: {
      PATH: process.env.PATH ?? '',
      DATABASE_URL: url,
      NODE_ENV: 'test',
      FAILPOINT: given.failpoint ?? '',
      NODE_OPTIONS: given.nodeOptions ?? '',
    },
    logger,
    flags: given.flags ?? [],
    ...(given.slowMs && { slowMs: given.slowMs }),
  })
  const stopping = new AbortController()
  const living = retainLog.live(stopping.signal)
  const stop = async (): Promise<void> => {
    stopping.abort()
    await living
  }
  t.teardown(stop)
  return { lines, stop, standing: () => retainLog.standing }
}

async function isClean(t: Test, databaseUrl: string, archives: string[]): Promise<void> {
  const { invariants } = await verify({ databaseUrl, ledgerPath: null, acksPath: null, archives })
  t.same(
    invariants.filter(({ differences }) => differences > 0),
    [],
  )
}

t.test('what is old enough is archived by itself, and what is held is told once', besides, async (t) => {
  const { url, pool, history, to } = await fill(t)
  const { lines, standing } = retain(t, url, to)
  t.same(standing(), { lastRunAt: null, waitsFor: null })
  await until('two segments to be archived', () => readdirSync(to).length === 2)
  await until('the third to be told', () => lines.some(({ event }) => event === 'archive waits'))
  t.match(lines, [
    { event: 'segment archived', segment: 1, path: join(to, first) },
    { event: 'segment archived', segment: 2, path: join(to, second) },
    { event: 'archive waits', reason: /^segment 3: stays, because 30 of its messages are not terminal/ },
  ])
  t.match(standing(), { lastRunAt: Date, waitsFor: /^segment 3: stays/ })
  const { lastRunAt } = standing()
  await until('two more runs', () => Number(standing().lastRunAt) > Number(lastRunAt) + 2_000)
  t.equal(lines.length, 3, 'the same is not told again')
  const { rows } = await pool.query('select distinct actor, reason from segment_archives')
  t.same(rows, [{ actor: 'instance-1/retention', reason: 'RETAIN_LOG: 1s' }])

  for (let left = 35; left > 0; left--) await history.deliver(await history.claim('fresh'), accepted)
  await until('the third to follow', () => readdirSync(to).length === 3)
  await until('nothing to wait', () => standing().waitsFor === null)
  t.equal(lines.at(-1)?.event, 'archive no longer waits')
  await isClean(t, url, [to])
})

t.test('a run that is killed at any step is followed by one that goes on', besides, async (t) => {
  for (const place of ['written', 'before_commit', 'dropped']) {
    const { url, to } = await fill(t)
    const killed = retain(t, url, to, { failpoint: `archive.${place}:1` })
    await until('it to be killed', () => killed.standing().waitsFor !== null)
    t.equal(killed.standing().waitsFor, 'the archive ended with SIGKILL.', place)
    t.equal(killed.standing().lastRunAt, null)
    await killed.stop()
    const { lines, standing } = retain(t, url, to)
    await until('the next run to go through', () => standing().lastRunAt !== null)
    t.same(readdirSync(to).sort(), [first, second], place)
    t.equal(lines.filter(({ event }) => event === 'segment archived').length, place === 'dropped' ? 1 : 2)
    await isClean(t, url, [to])
  }
})

t.test('a database that gives the owner no connection is told in the words of the command', async (t) => {
  const { lines, standing } = retain(t, 'postgresql://owner:secret@127.0.0.1:1/x', t.testdir())
  await until('it to be told', () => standing().waitsFor !== null)
  const reason = 'The database cannot be reached: connect ECONNREFUSED 127.0.0.1:1.'
  t.equal(standing().waitsFor, reason)
  t.match(lines, [{ event: 'archive waits', reason }])
})

t.test(
  'a folder that is not there is told once, is not made, and is used when it comes back',
  besides,
  async (t) => {
    const { url, to } = await fill(t)
    const directory = join(to, 'disk')
    const { lines, standing } = retain(t, url, directory)
    await until('it to be told', () => standing().waitsFor !== null)
    t.equal(standing().waitsFor, 'There is no folder ARCHIVE_DIR: mount its disk, or make it.')
    mkdirSync(join(to, 'away'))
    renameSync(join(to, 'away'), directory)
    await until('the archives', () => existsSync(join(directory, second)))
    await until('the third to be told', () => lines.length === 4)
    t.match(lines[0], {
      event: 'archive waits',
      reason: `There is no folder ${directory}: mount its disk, or make it.`,
    })
    t.equal(lines.filter(({ reason }) => reason?.startsWith('There is no folder')).length, 1)
  },
)

t.test(
  'a full disk is told once, leaves nothing behind, and is tried again',
  { skip: withoutMount },
  async (t) => {
    const { url, pool } = await fill(t)
    const disk = mountSmallDisk(t, 8)
    const refusing = retain(t, url, disk.path)
    await until('memory to be refused', () => refusing.standing().waitsFor !== null)
    t.match(refusing.standing().waitsFor, /is in memory \(tmpfs\): archives there are lost/)
    await refusing.stop()

    disk.fill()
    const { lines, standing } = retain(t, url, disk.path, { flags: ['--allow-memory'] })
    await until('it to be told', () => standing().waitsFor !== null)
    t.match(
      standing().waitsFor,
      /segment-000001-messages-1-30 cannot be written: ENOSPC.*The segment stays in the database\.$/,
    )
    t.same(readdirSync(disk.path), ['filler'])
    await pool.query('select count(*) from message_events_s1')
    disk.free()
    await until('the archives', () => existsSync(join(disk.path, second)))
    t.equal(lines.filter(({ reason }) => reason?.includes('ENOSPC')).length, 1)
  },
)

t.test('while another run is at work nothing is told, and then it goes on', besides, async (t) => {
  const { url, pool, to } = await fill(t)
  const holder = await pool.connect()
  await holder.query(`select pg_advisory_lock(hashtextextended('archive', 0))`)
  const { lines, standing } = retain(t, url, to)
  await until('it to wait', () => standing().waitsFor !== null)
  t.match(standing(), { lastRunAt: null, waitsFor: /^Another run archives this log/ })
  t.same(lines, [])
  holder.release(true)
  await until('the archives', () => existsSync(join(to, second)))
})

t.test('a stop ends a run that waits, and nothing of it goes on', besides, async (t) => {
  const { url, pool, to } = await fill(t)
  const reader = await pool.connect()
  await reader.query('begin')
  await reader.query('select count(*) from message_events')
  const { stop } = retain(t, url, to)
  await until('the archive to be written', () => existsSync(join(to, first)))
  await stop()
  await until('its session to end', async () => {
    const { rowCount } = await pool.query(
      `select from pg_stat_activity where datname = current_database() and application_name like '%archive'`,
    )
    return rowCount === 0
  })
  await reader.query('commit')
  reader.release()
  t.equal((await pool.query('select from segment_archives')).rowCount, 0)
})

t.test('a command that cannot be loaded has not got through, and says why', async (t) => {
  const { url, to } = await fill(t)
  const { standing } = retain(t, url, to, { nodeOptions: '--require=/nonexistent.cjs' })
  await until('the reason to be told', () => standing().waitsFor !== null)
  t.match(standing(), { lastRunAt: null, waitsFor: /^Error: Cannot find module '\(a path\)'/ })
})

/** The options of a Node that does this before anything else. */
function atFirst(t: Test, script: string): string {
  return `--require=${join(t.testdir({ 'first.cjs': script }), 'first.cjs')}`
}

t.test(
  'a run that hangs is told once, also while it hangs, and stays in the status until it goes on',
  async (t) => {
    const { url } = await database(t)
    const hang = 'Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)'
    const { lines, standing } = retain(t, url, t.testdirName, {
      nodeOptions: atFirst(t, hang),
      slowMs: { first: 1_000, next: 1_000 },
    })
    await until('it to be told', () => standing().waitsFor !== null)
    t.match(standing(), {
      lastRunAt: null,
      waitsFor:
        'The archive has made no progress for 1 s: ARCHIVE_DIR or the database does not answer, or is very slow (ARCHIVE_DIR).',
    })
    t.match(lines, [{ event: 'archive waits', reason: `(${t.testdirName}).` }])
  },
)

t.test('a stop does not wait for a run that a kill does not end', async (t) => {
  const { url, to } = await fill(t)
  // Its output stays open, as that of a process does which waits for a file system that hangs.
  const hang = `
    const { spawn } = require('node:child_process')
    const other = spawn(process.execPath, ['-e', 'setInterval(() => {}, 1000)'], { env: {}, stdio: 'inherit', detached: true })
    require('node:fs').writeFileSync('${join(to, 'pid')}', String(other.pid))
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0)`
  const { lines, stop } = retain(t, url, to, { nodeOptions: atFirst(t, hang) })
  await until('it to run', () => existsSync(join(to, 'pid')) && readFileSync(join(to, 'pid'), 'utf8') !== '')
  t.teardown(() => process.kill(Number(readFileSync(join(to, 'pid'), 'utf8')), 'SIGKILL'))
  await stop()
  t.match(lines, [
    {
      event: 'archive does not end',
      reason: /does not answer: the archive is killed, and ends when it does/,
    },
  ])
})
