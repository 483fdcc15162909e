import { requireLine } from '../config/read-author.ts'
import { exitCodes, FlagFault, runCommand, type Command, type Flags } from '../commands/run-command.ts'
import { printable } from '../runtime/printable.ts'
import { reasonOf } from '../runtime/reason-of.ts'
import { Refused } from './ask.ts'

/** One of the words that `tqp` knows. */
export interface Subcommand {
  readonly name: string
  /** What it does, in a few words. */
  readonly summary: string
  /** Its flags without their dashes, as the completion offers them; `help` is not among them. */
  readonly flags: readonly string[]
  /** Returns the exit code; never rejects. */
  readonly run: (args: string[]) => Promise<number>
}

/** A subcommand that reads its flags as every command of the service does. If the service says no, its sentence is printed. */
export function subcommand<const Options extends Flags>(
  name: string,
  summary: string,
  command: Command<Options>,
): Subcommand {
  const run: Command<Options>['run'] = async (flags, words) => {
    try {
      return await command.run(flags, words)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      process.stderr.write(`${printable(error.message)}\n`)
      return exitCodes.differs
    }
  }
  return {
    name,
    summary,
    flags: Object.keys(command.options),
    run: (args) => runCommand({ ...command, run, explain: (fault) => printable(reasonOf(fault)) }, args),
  }
}

/** How the usage of each subcommand ends. */
export const ending = `  --json           one JSON document in place of words
  --help           this text

Ends with 0 if it is done, 1 if it was refused (and says why), 2 if the service could not be reached or the command line is wrong.
`

/**
 * The one word that a command line has beside its flags.
 *
 * @throws FlagFault
 */
export function readOne(what: string, [word, ...others]: readonly string[]): string {
  if (word === undefined || others.length > 0) throw new FlagFault(`Name one ${what}.`)
  return word
}

/** @throws an Error with one sentence, also of a reason that the service would refuse: a dry run must not call it done */
export function readReason(reason: string | boolean | undefined): string {
  if (typeof reason !== 'string' || reason.trim() === '') throw new FlagFault('Say why: --reason R.')
  requireLine('reason', reason)
  return reason
}
