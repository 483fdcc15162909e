import { writeFileSync } from 'node:fs'
import { exitCodes } from '../src/commands/run-command.ts'
import { describeMachine } from './measure.ts'
import { startServers, type Named, type Servers } from './parts.ts'

/**
 * Reads --only: the names of cases, with commas between; all of them where it is not given.
 *
 * @throws a sentence if there is no such case
 */
export function readCases<Case extends string>(
  text: string | undefined,
  cases: readonly Case[],
): readonly Case[] {
  if (text === undefined) return cases
  return text.split(',').map((name) => {
    const found = cases.find((each) => each === name)
    if (found === undefined) throw new Error(`--only knows ${cases.join(', ')}, not ${JSON.stringify(name)}.`)
    return found
  })
}

type Cases<Case extends string, Figure> = {
  readonly cases: readonly Case[]
  /** Measures one case on servers that it must not stop. */
  readonly measure: (servers: Servers, name: Case) => Promise<Figure>
  /** A case as it is printed, with its line breaks. */
  readonly toLines: (figure: Figure) => string
  readonly holds: (figure: Figure) => boolean
  /** The file for the figures; none if undefined. */
  readonly json: string | undefined
  /** What else the file says of how they were measured. */
  readonly given: Readonly<Record<string, unknown>>
}

/**
 * Measures the cases one after the other on the same servers, which it starts and stops, and prints each.
 *
 * @returns the exit code: done if all of them hold
 */
export async function measureCases<Case extends string, Figure>(
  named: Named,
  { cases, measure, toLines, holds, json, given }: Cases<Case, Figure>,
): Promise<number> {
  const servers = await startServers(named)
  const figures: Figure[] = []
  try {
    for (const name of cases) {
      const figure = await measure({ ...servers, stop: () => Promise.resolve() }, name)
      figures.push(figure)
      process.stdout.write(toLines(figure))
    }
  } finally {
    await servers.stop()
  }
  process.stdout.write(`servers   ${servers.description}\n`)
  if (json !== undefined) {
    const document = { machine: describeMachine(), servers: servers.description, ...given, figures }
    writeFileSync(json, `${JSON.stringify(document, null, 2)}\n`)
  }
  return figures.every(holds) ? exitCodes.done : exitCodes.differs
}
