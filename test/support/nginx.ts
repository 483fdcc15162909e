import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { waitForEnd } from '../../src/embedded/postgres/process.ts'
import { isExecutable } from './is-executable.ts'
import { until } from './until.ts'

const program = ['/usr/sbin/nginx', '/usr/bin/nginx', '/usr/local/bin/nginx'].find(isExecutable)

/** Why a test that needs nginx is left out; false where it is installed. Goes to tap's `skip`. */
export const withoutNginx = program === undefined && 'nginx is not installed (Debian: nginx-light)'

/**
 * A real nginx with this configuration inside its `http` block, in which it is to listen on 80 and to pass on to 127.0.0.1:8000: both
 * ports are put right. It ends with the test.
 */
export async function startNginx(
  t: Pick<Test, 'teardown'>,
  configuration: string,
  { port, target }: { port: number; target: number },
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-nginx-'))
  await chmod(folder, 0o755)
  const placed = configuration
    .replaceAll('listen 80;', `listen 127.0.0.1:${port};`)
    .replaceAll('127.0.0.1:8000', `127.0.0.1:${target}`)
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((each) => `${each}_temp_path ${folder}/${each};`)
    .join(' ')
  const file = join(folder, 'nginx.conf')
  const main = `daemon off; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr crit;`
  await writeFile(file, `${main}\nevents {}\nhttp {\naccess_log off; ${temporary}\n${placed}\n}\n`)
  const child = spawn(program ?? 'nginx', ['-e', 'stderr', '-p', folder, '-c', file], {
    stdio: ['ignore', 'ignore', 'inherit'],
  })
  await once(child, 'spawn')
  t.teardown(async () => {
    // What is still open must not hold up its end.
    child.kill('SIGTERM')
    await waitForEnd(child.pid ?? 0, 10_000)
    await rm(folder, { recursive: true, force: true })
  })
  await until('nginx to answer', async () => (await fetch(`http://127.0.0.1:${port}/`)).status > 0)
}
