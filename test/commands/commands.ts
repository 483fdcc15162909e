import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { fileURLToPath } from 'node:url'
import { program } from '../support/program.ts'

const root = new URL('../../', import.meta.url)

export const scripts = (
  JSON.parse(readFileSync(new URL('package.json', root), 'utf8')) as { scripts: Record<string, string> }
).scripts

export interface Command {
  name: string
  args: string[]
}

/** What `npm run NAME` runs, without the build; scripts that hand their flags to a program of npm's are left out. */
export const commands: readonly Command[] = Object.entries(scripts).flatMap(([name, line]) => {
  const built = /exec node .*dist\/(\S+)\.js$/.exec(line)?.[1]
  if (built !== undefined) return [{ name, args: program(built) }]
  const source = /exec .*?(\S+\.ts)$/.exec(line)?.[1]
  if (source === undefined) return []
  return [{ name, args: ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL(source, root))] }]
})

export type Ended = { code: number | null; output: string; errors: string }

/** Runs each with the flag, three at a time. Nothing is there that it could reach: one that starts all the same fails soon. */
export async function runEach(flag: string): Promise<Map<string, Ended>> {
  const ended = new Map<string, Ended>()
  const waiting = [...commands]
  const runSome = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift())
      ended.set(next.name, await run(next, flag))
  }
  await Promise.all([runSome(), runSome(), runSome()])
  return ended
}

async function run({ args }: Command, flag: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(
      process.execPath,
      [...args, flag],
      {
        cwd: tmpdir(),
        env: {
          PATH: process.env.PATH,
          DATABASE_URL: 'postgresql://postgres@127.0.0.1:1/nowhere',
          NODE_ENV: 'test',
        },
        timeout: 240_000,
      },
      (_, output, errors) => resolve({ code: child.exitCode, output, errors }),
    )
  })
}
