import { parseArgs, type ParseArgsConfig } from 'node:util'
import { reasonOf } from '../runtime/reason-of.ts'

/**
 * The exit code of every command. `differs`: it ran, and found differences, was refused, or did not do
 * everything. `couldNotRun`: a wrong flag or setting, or a server that is out of reach; stderr has one
 * sentence.
 */
export const exitCodes = { done: 0, differs: 1, couldNotRun: 2 } as const

export type Flags = NonNullable<ParseArgsConfig['options']>
type Values<Options extends Flags> = ReturnType<
  typeof parseArgs<{ options: Options; strict: true; allowPositionals: boolean }>
>['values']

export interface Command<Options extends Flags> {
  /** Lists every flag, including --help, and the exit codes. */
  usage: string
  /** All flags except --help, in the form of `parseArgs`. */
  options: Options
  /** Whether words without a flag are accepted. */
  allowPositionals?: boolean
  /**
   * Returns the exit code. If it throws, the error's message is printed and the command ends with
   * `couldNotRun`.
   */
  run: (flags: Values<Options>, words: string[]) => number | Promise<number>
  /** Turns an error of `run` into one sentence, if its message is not one. */
  explain?: (fault: unknown) => string
}

/**
 * Runs a command with its command line. --help (or -h) prints the usage, and an unknown flag is refused; both
 * change nothing. Every command ends here, and this function never rejects.
 *
 * @param args in place of those of the process
 * @returns the exit code: `process.exitCode = await runCommand(…)` lets the printed output drain
 */
export async function runCommand<const Options extends Flags>(
  command: Command<Options>,
  args: string[] = process.argv.slice(2),
): Promise<number> {
  outliveReaders()
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

let isOutliving = false

/** Whoever reads through a pipe may have seen enough. What was begun, such as a repair, is done all the same. */
export function outliveReaders(): void {
  if (isOutliving) return
  isOutliving = true
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error
  })
}

/** @throws FlagFault about an unknown flag, a flag without its value, or a word without a flag */
function readFlags<const Options extends Flags>(
  { options, allowPositionals = false }: Command<Options>,
  args: string[],
) {
  try {
    return parseArgs({ args, options, strict: true, allowPositionals })
  } catch (cause) {
    // Node then explains how to pass such a word as a positional, which few commands accept.
    const [what] = (cause as Error).message.split(/\. |\n/)
    throw new FlagFault(`${(what ?? '').replace(/\.$/, '')}; --help lists the flags.`, { cause })
  }
}

/** A wrong command line. Its message is one sentence, so that `explain` leaves it unchanged. */
export class FlagFault extends Error {}

/**
 * Reads a flag's value as a whole number of at least `from`.
 *
 * @throws FlagFault
 */
export function readCount(name: string, text: string, from = 1): number {
  const value = /^\d+$/.test(text) ? Number(text) : NaN
  if (Number.isSafeInteger(value) && value >= from) return value
  throw new FlagFault(`--${name} must be a whole number, at least ${from}, not ${JSON.stringify(text)}.`)
}

/**
 * Reads a flag's value as a number that is not negative. Undefined for a flag that is not given.
 *
 * @throws FlagFault
 */
export function readNumber(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text)
  throw new FlagFault(`--${name} must be a number, not ${JSON.stringify(text)}.`)
}
