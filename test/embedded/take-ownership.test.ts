import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { ownerPathOf, takeOwnership } from '../../src/embedded/take-ownership.ts'
import { startOf } from '../../src/embedded/postgres/process.ts'

async function makeFolder(t: Test): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-owner-'))
  t.teardown(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function ownerOf(folder: string): Promise<unknown> {
  return JSON.parse(await readFile(ownerPathOf(folder), 'utf8'))
}

t.test('what a killed service owned is taken by the next start', async (t) => {
  const folder = await makeFolder(t)
  const child = spawn('sleep', ['1000'])
  await once(child, 'spawn')
  await writeFile(ownerPathOf(folder), JSON.stringify({ pid: child.pid, startedAt: startOf(child.pid!) }))
  await t.rejects(takeOwnership(folder), {
    message: new RegExp(`^Another instance \\(process ${child.pid}\\) runs the embedded parts in `),
  })
  child.kill('SIGKILL')
  await once(child, 'exit')
  const release = await takeOwnership(folder)
  t.match(await ownerOf(folder), { pid: process.pid })
  await release()
  await t.rejects(ownerOf(folder), { code: 'ENOENT' })
})

t.test('a process that merely has the pid of the owner owns nothing', async (t) => {
  const folder = await makeFolder(t)
  await writeFile(ownerPathOf(folder), JSON.stringify({ pid: process.pid, startedAt: 'long ago' }))
  await takeOwnership(folder)
  t.match(await ownerOf(folder), { pid: process.pid, startedAt: startOf(process.pid) })
})
