import t from 'tap'
import { runEach } from './commands.ts'

t.test('every command refuses a flag that it does not know, in one sentence', async (t) => {
  for (const [name, ended] of await runEach('--no-such-flag'))
    t.same(
      ended,
      { code: 2, output: '', errors: `Unknown option '--no-such-flag'; --help lists the flags.\n` },
      name,
    )
})
