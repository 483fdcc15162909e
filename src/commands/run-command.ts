import { parseArgs, type ParseArgsConfig } from 'node:util'
import { reasonOf } from '../runtime/reason-of.ts'

/**
 * What every command ends with. `differs`: it ran, and found differences, or was refused, or did not do all that it was told.
 * `couldNotRun`: a flag that makes no sense, a setting, a server that is out of reach; stderr has one sentence.
 */
export const exitCodes = { done: 0, differs: 1, couldNotRun: 2 } as const

type Flags = NonNullable<ParseArgsConfig['options']>
type Values<Options extends Flags> = ReturnType<
  typeof parseArgs<{ options: Options; strict: true; allowPositionals: boolean }>
>['values']

export interface Command<Options extends Flags> {
  /** Names every flag, --help too, and the exit codes. */
  usage: string
  /** All but --help, as `parseArgs` takes them. */
  options: Options
  /** Whether words without a flag are taken. */
  allowPositionals?: boolean
  /** Returns the exit code. What it throws is told by its message alone, and the code is that of a command that could not run. */
  run: (flags: Values<Options>, words: string[]) => number | Promise<number>
  /** Turns what `run` threw into one sentence, where its message is none. */
  explain?: (fault: unknown) => string
}

/**
 * Runs a command by its command line: --help (or -h) prints the usage, and a flag that does not exist is refused; both change
 * nothing. The one place where a command ends; it never rejects.
 *
 * @returns the exit code: `process.exitCode = await runCommand(…)` lets what was printed drain
 */
export async function runCommand<const Options extends Flags>(command: Command<Options>): Promise<number> {
  const args = process.argv.slice(2)
  try {
    if (args.some((each) => each === '--help' || each === '-h')) {
      process.stdout.write(command.usage)
      return exitCodes.done
    }
    const { values, positionals } = readFlags(command, args)
    return await command.run(values, positionals)
  } catch (fault) {
    const explain = command.explain ?? reasonOf
    process.stderr.write(`${explain(fault)}\n`)
    return exitCodes.couldNotRun
  }
}

/** Throws a sentence about a flag that does not exist, has no value, or is a word without a flag. */
function readFlags<const Options extends Flags>(
  { options, allowPositionals = false }: Command<Options>,
  args: string[],
) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals })
  } catch (cause) {
    // Node explains further how to pass such a word as a positional, which few commands have.
    const [what] = (cause as Error).message.split(/\. |\n/)
    throw new FlagFault(`${(what ?? '').replace(/\.$/, '')}; --help lists what there is.`, { cause })
  }
}

/** A command line that makes no sense; its message is one sentence, so that `explain` leaves it as it is. */
export class FlagFault extends Error {}

/** A whole number from `from` on, of a flag. Throws a sentence. */
export function readCount(name: string, text: string, from = 1): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isSafeInteger(value) && value >= from) return value
  throw new FlagFault(`--${name} must be a whole number, at least ${from}, not ${JSON.stringify(text)}.`)
}
