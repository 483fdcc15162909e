import t from 'tap'
import { readCount } from '../../src/commands/run-command.ts'

t.test('the number of a flag is digits, as the number of a setting is', (t) => {
  t.equal(readCount('first', '20'), 20)
  t.equal(readCount('partition', '0', 0), 0)
  for (const text of ['', ' 5', '5 ', '0x10', '1e1', '+5', '-5', '5.0', '٣', '0', '9'.repeat(20)])
    t.throws(
      () => readCount('first', text),
      { message: /^--first must be a whole number/ },
      JSON.stringify(text),
    )
  t.end()
})
