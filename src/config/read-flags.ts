import { parseArgs, type ParseArgsConfig } from 'node:util'

/** The flags of a command line. Throws a sentence about one that does not exist, has no value, or is a word without a flag. */
export function readFlags<const Options extends NonNullable<ParseArgsConfig['options']>>(options: Options) {
  try {
    return parseArgs({ options }).values
  } catch (cause) {
    // Node explains further how to pass such a word as a positional, which no command here has.
    const [what] = (cause as Error).message.split('. ')
    throw new Error(`${what ?? ''}; --help lists what there is.`, { cause })
  }
}
