import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { extname } from 'node:path'
import { fileURLToPath } from 'node:url'
import { exitCodes } from '../commands/run-command.ts'
import type { Subcommand } from './subcommand.ts'

/** A subcommand that is a command of the service, with its own flags. It runs beside the database and not over the API. */
export function handOver(name: 'token' | 'verify', summary: string, flags: readonly string[]): Subcommand {
  const program = fileURLToPath(new URL(`../commands/${name}${extname(import.meta.url)}`, import.meta.url))
  return {
    name,
    summary,
    flags,
    run: async (args) => {
      const child = spawn(process.execPath, [...process.execArgv, program, ...args], { stdio: 'inherit' })
      const [code] = (await once(child, 'exit')) as [number | null]
      return code ?? exitCodes.couldNotRun
    },
  }
}
