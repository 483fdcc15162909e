import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import { endProcess } from './end-process.ts'
import { findFreePort } from './free-port.ts'
import { isExecutable } from './is-executable.ts'
import { until } from './until.ts'

const find = (name: string) =>
  ['/usr/bin', '/usr/local/bin'].map((folder) => join(folder, name)).find(isExecutable)
const promtool = find('promtool')
const prometheus = find('prometheus')

/** Why a test that needs Prometheus is left out; false where it is installed. Goes to tap's `skip`. */
export const withoutPrometheus =
  (promtool === undefined || prometheus === undefined) && 'Prometheus is not installed (Debian: prometheus)'

/** What `promtool` with these arguments ends with and says. */
export async function runPromtool(...args: string[]): Promise<{ code: number | null; output: string }> {
  const child = spawn(promtool ?? 'promtool', args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const [output, errors] = await Promise.all([text(child.stdout), text(child.stderr), ended(child)])
  return { code: child.exitCode, output: output + errors }
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode === null) await once(child, 'exit')
}

type Alert = {
  state: 'pending' | 'firing'
  labels: Record<string, string>
  annotations: Record<string, string>
}

export interface Prometheus {
  /** The alerts that are pending or fire now. */
  alerts(): Promise<Alert[]>
  /** The series that the query answers, by its labels. */
  query(expression: string): Promise<{ metric: Record<string, string>; value: [number, string] }[]>
}

/**
 * A real Prometheus with these rules, which scrapes each target every three seconds and evaluates each second. It ends with the test.
 *
 * @param targets the name of the job of each address
 */
export async function startPrometheus(
  t: Pick<Test, 'teardown'>,
  rules: string,
  targets: Readonly<Record<string, string>>,
): Promise<Prometheus> {
  const folder = await mkdtemp(join(tmpdir(), 'tqp-prometheus-'))
  const config = {
    global: { scrape_interval: '3s', scrape_timeout: '3s', evaluation_interval: '1s' },
    rule_files: ['rules.yml'],
    scrape_configs: Object.entries(targets).map(([job, address]) => ({
      job_name: job,
      static_configs: [{ targets: [address] }],
    })),
  }
  await writeFile(join(folder, 'rules.yml'), rules)
  await writeFile(join(folder, 'prometheus.yml'), stringify(config))
  const port = await findFreePort()
  const child = spawn(
    prometheus ?? 'prometheus',
    [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=error',
    ],
    { stdio: ['ignore', 'ignore', 'inherit'] },
  )
  t.teardown(async () => {
    await endProcess(child, 'SIGKILL')
    await rm(folder, { recursive: true, force: true })
  })
  const ask = async <Data>(path: string): Promise<Data> => {
    const response = await fetch(`http://127.0.0.1:${port}/api/v1/${path}`)
    return ((await response.json()) as { data: Data }).data
  }
  await until('Prometheus to be ready', async () => (await fetch(`http://127.0.0.1:${port}/-/ready`)).ok)
  return {
    alerts: async () => (await ask<{ alerts: Alert[] }>('alerts')).alerts,
    query: async (expression) =>
      (
        await ask<{ result: { metric: Record<string, string>; value: [number, string] }[] }>(
          `query?query=${encodeURIComponent(expression)}`,
        )
      ).result,
  }
}
