import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { text } from 'node:stream/consumers'
import { program } from '../support/program.ts'

export type Ended = { readonly code: number | null; readonly output: string; readonly errors: string }

/** Where it asks, and as whom. */
export type Endpoint = { readonly url: string; readonly token?: string }

/** Starts `tqp` as a process of its own. */
export function start({ url, token }: Endpoint, ...words: string[]): ChildProcess {
  return spawn(process.execPath, [...program('tqp/main'), ...words], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      TQP_URL: url,
      ...(token !== undefined && { TQP_TOKEN: token }),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

/** Runs `tqp` to its end. */
export async function tqp(endpoint: Endpoint, ...words: string[]): Promise<Ended> {
  const child = start(endpoint, ...words)
  const [output, errors, [code]] = await Promise.all([
    text(child.stdout!),
    text(child.stderr!),
    once(child, 'close') as Promise<[number | null]>,
  ])
  return { code, output, errors }
}
