import { exitCodes, FlagFault } from '../commands/run-command.ts'
import { subcommand, type Subcommand } from './subcommand.ts'

const usage = `Usage: npx tqp completion bash|zsh

Prints a script that completes the commands and flags of tqp in this shell. For bash, put these lines into ~/.bashrc:

  alias tqp='npx tqp'
  source <(npx tqp completion bash)

  --help           this text

Ends with 0 if it is done, 2 if the command line is wrong.
`

/** @param others what else it completes */
export function completionOf(others: readonly Subcommand[]): Subcommand {
  const completion = subcommand('completion', 'a script that completes these commands', {
    usage,
    options: {},
    allowPositionals: true,
    run: (_, [shell]) => {
      const all = [...others, completion]
      if (shell === 'bash') process.stdout.write(forBash(all))
      else if (shell === 'zsh') process.stdout.write(forZsh(all))
      else throw new FlagFault('Name the shell: bash or zsh.')
      return exitCodes.done
    },
  })
  return completion
}

const flagsOf = ({ flags }: Subcommand): string => [...flags, 'help'].map((flag) => `--${flag}`).join(' ')

function forBash(subcommands: readonly Subcommand[]): string {
  return `_tqp() {
  local words
  case \${COMP_WORDS[1]} in
${subcommands.map((each) => `    ${each.name}) words='${flagsOf(each)}' ;;`).join('\n')}
  esac
  [ "$COMP_CWORD" = 1 ] && words='${subcommands.map(({ name }) => name).join(' ')}'
  COMPREPLY=($(compgen -W "$words" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -F _tqp tqp
`
}

function forZsh(subcommands: readonly Subcommand[]): string {
  return `#compdef tqp
_tqp() {
  local -a commands
  if (( CURRENT == 2 )); then
    commands=(${subcommands.map(({ name, summary }) => `'${name}:${summary.replaceAll("'", '’')}'`).join(' ')})
    _describe 'command' commands
    return
  fi
  case $words[2] in
${subcommands.map((each) => `    ${each.name}) compadd -- ${flagsOf(each)} ;;`).join('\n')}
  esac
}
compdef _tqp tqp
`
}
