import t from 'tap'
import { commands, runEach, scripts } from './commands.ts'

t.test('all commands are found: only scripts that hand their flags to a program of npm’s are none', (t) => {
  const others = Object.keys(scripts).filter((each) => !commands.some(({ name }) => name === each))
  t.same(others.sort(), ['build', 'dead', 'format', 'lint', 'types'])
  t.end()
})

t.test('every command prints its usage, with its exit codes, and does nothing else', async (t) => {
  for (const [name, { code, output, errors }] of await runEach('--help')) {
    t.match({ code, errors }, { code: 0, errors: '' }, name)
    t.match(output, /^Usage: n[^\n]*\n\n[^]*--help +this text\n\nEnds with 0 [^]*2 if /, name)
  }
})
