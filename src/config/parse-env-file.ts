import { parseEnv } from 'node:util'

const assignment = /^\s*(?:export\s+)?[A-Za-z_][\w.-]*\s*=\s*(.*)$/
const nothing = /^\s*(?:#.*)?$/

/**
 * The variables of a `.env` file. Node's parser does it, but of a line that is no `NAME=VALUE`, even of a comment that is indented, it
 * makes one name with the line below, and the variable there is gone without a word. So it gets no such line.
 *
 * @throws an Error with one sentence that names the first line which is neither `NAME=VALUE`, a comment, nor empty
 */
export function parseEnvFile(text: string): NodeJS.Dict<string> {
  // The mark that some editors begin a file with would be part of the first name.
  const lines = text.replace(/^\uFEFF/, '').split(/\r?\n/)
  let end: string | null = null
  const read = lines.map((line, at) => {
    if (end !== null) {
      if (line.includes(end)) end = null
      return line
    }
    if (nothing.test(line)) return ''
    const value = assignment.exec(line)?.[1]
    if (value === undefined) throw new Error(`.env: line ${at + 1} is not NAME=VALUE.`)
    end = endOfQuote(value, lines.slice(at + 1))
    return line
  })
  return parseEnv(read.join('\n'))
}

/** The quotation mark that ends the value on a later line; null if it ends on its own. One without an end is part of its value. */
function endOfQuote(value: string, below: readonly string[]): string | null {
  const [, mark, rest = ''] = /^(["'`])(.*)$/.exec(value) ?? []
  if (mark === undefined || rest.includes(mark)) return null
  return below.some((line) => line.includes(mark)) ? mark : null
}
