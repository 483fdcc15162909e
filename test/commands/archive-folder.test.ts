import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { mountSmallDisk, withoutMount } from '../support/small-disk.ts'
import { archive, fill, first, second } from '../verify/archived.ts'

t.test('with --json each step is an object, and the manifest says which log the archive is of', async (t) => {
  const { url, pool, to } = await fill(t)
  const { code, output, errors } = await archive(url, ['--before', '0s', '--to', to, '--json'])
  t.equal(code, 0, errors)
  const steps = output
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as unknown)
  t.match(steps, [
    { step: 'archived', segment: 1, path: join(to, first), messages: Number, events: Number },
    { step: 'archived', segment: 2, path: join(to, second), messages: Number },
    { step: 'kept', segment: 3, because: 'open', why: /^30 of its messages/ },
    { step: 'kept', segment: 4, because: 'needed' },
    { step: 'end' },
  ])
  const { rows } = await pool.query<{ began: Date; system: string }>(
    'select e.recorded_at as began, c.system_identifier::text as system from log_epochs e, pg_control_system() c where epoch = 1',
  )
  const { log } = JSON.parse(readFileSync(join(to, first, 'manifest.json'), 'utf8')) as {
    log: { began_at: string; system_identifier: string }
  }
  t.equal(new Date(log.began_at).getTime(), rows[0]!.began.getTime())
  t.equal(log.system_identifier, rows[0]!.system)
})

t.test('an archive of another database that is in the way is told as such', async (t) => {
  const { url, pool, to } = await fill(t)
  await archive(url, ['--before', '0s', '--to', to], 'archive.named:1')
  // As if this log had been made at another time.
  await pool.query('alter table log_epochs disable trigger append_only')
  await pool.query(`update log_epochs set recorded_at = '2020-01-01' where epoch = 1`)
  await pool.query('alter table log_epochs enable always trigger append_only')
  const { code, output } = await archive(url, ['--before', '0s', '--to', to])
  t.equal(code, 1)
  t.match(
    output,
    /^segment 1: stays, .* is an archive of another database, whose log began at 2\S+; this one's began at 2020-01-01T00:00:00\.000000Z\. Name another folder\.\nsegment 2: archived/,
  )
})

t.test('a folder in memory is refused, unless that is allowed', { skip: withoutMount }, async (t) => {
  const { url } = await fill(t)
  const { path } = mountSmallDisk(t, 8)
  t.match(await archive(url, ['--before', '0s', '--to', join(path, 'new')]), {
    code: 2,
    errors:
      /^\S+ is in memory \(tmpfs\): archives there are lost .* Name a folder on a disk, or say --allow-memory\.$/m,
  })
  const { output } = await archive(url, ['--before', '0s', '--to', join(path, 'new'), '--allow-memory'])
  t.match(output, /^segment 1: archived /)
  t.ok(existsSync(join(path, 'new', first)))
})

t.test('an age counts by the clock of the command, too', async (t) => {
  const { url, to } = await fill(t)
  // As if PostgreSQL's had stepped forward by two days.
  const behind = 'const { now } = Date; Date.now = () => now() - 2 * 86_400_000'
  const at = new Date(Date.now() - 2 * 86_400_000).toISOString().slice(0, 13)
  const { output } = await archive(url, ['--before', '0s', '--to', to], '', behind)
  t.match(output, /^segment 1: stays, because its last event is of 2/)
  t.match(output, new RegExp(`which is not before ${at}`))
})

t.test('a folder that is made is on disk, and so are those above it', async (t) => {
  const { url, to } = await fill(t)
  const told = `
    import { promises } from 'node:fs'
    import { syncBuiltinESMExports } from 'node:module'
    const { open } = promises
    promises.open = async (path, ...rest) => {
      const file = await open(path, ...rest)
      const sync = file.sync.bind(file)
      file.sync = async () => {
        process.stderr.write('synced ' + path + '\\n')
        return sync()
      }
      return file
    }
    syncBuiltinESMExports()`
  const { errors } = await archive(url, ['--before', '0s', '--to', join(to, 'new', 'folder')], '', told)
  const synced = errors.split('\n')
  t.ok(synced.includes(`synced ${join(to, 'new', 'folder')}`))
  t.ok(synced.includes(`synced ${join(to, 'new')}`))
  t.ok(synced.includes(`synced ${to}`))
})

t.test('a run for a service that is gone ends at once', async (t) => {
  const { url, to } = await fill(t)
  t.match(await archive(url, ['--before', '0s', '--to', to, '--by-service']), {
    signal: 'SIGKILL',
    output: '',
  })
})
