import t from 'tap'
import { createLoggerTo } from '../../src/runtime/logger.ts'
import { database } from '../support/database.ts'

const card = '4111111111111111'

function recordLines() {
  const lines: string[] = []
  return { lines, logger: createLoggerTo({ write: (line) => void lines.push(line) }, 'info') }
}

t.test(
  'no line holds a character that breaks or reverses it, and each says the same as before',
  async (t) => {
    const { lines, logger } = recordLines()
    const odd = Array.from({ length: 0x2100 }, (_, code) => String.fromCharCode(code)).join('')
    logger.info({ transaction_id: odd }, odd)
    t.equal(lines.length, 1)
    t.notMatch(lines[0]!.trimEnd(), /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u)
    t.match(JSON.parse(lines[0]!), { event: odd, transaction_id: odd })
  },
)

t.test('an error of the database is told with its names and without the values that it quotes', async (t) => {
  const { pool } = await database(t)
  const { lines, logger } = recordLines()
  await pool.query('create table cards (id int primary key, card text check (length(card) < 5))')
  await pool.query(`insert into cards values (1, 'none')`)
  const refused = [
    `insert into cards values (2, '${card}')`,
    'insert into cards values (1, null)',
    `select '{"card":"${card}'::json`,
    `select 'x${card}'::int`,
    `select '${card}"${card}'::bigint`,
    `select '${card}'::int2`,
  ]
  for (const statement of refused) {
    const error = await pool.query(statement).catch((error: unknown) => error)
    logger.error({ err: new Error('the statement failed', { cause: error }) }, 'refused')
    logger.error({ err: error }, 'refused')
  }
  t.equal(lines.length, 2 * refused.length)
  t.notMatch(lines.join(''), card)
  t.notMatch(lines.join(''), /Failing row|Key \(/)
  t.match(JSON.parse(lines[1]!), {
    err: {
      type: 'DatabaseError',
      message: /violates check constraint "cards_card_check"/,
      code: '23514',
      table: 'cards',
      constraint: 'cards_card_check',
      stack: /logger\.test\.ts/,
    },
  })
  t.match(JSON.parse(lines[0]!), { err: { message: 'the statement failed', cause: { code: '23514' } } })
})

t.test('what is thrown and is no error is told too', async (t) => {
  const { lines, logger } = recordLines()
  for (const thrown of ['text', null, 7]) logger.error({ err: thrown }, 'failed')
  t.strictSame(
    lines.map((line) => (JSON.parse(line) as { err: unknown }).err),
    [{ message: 'text' }, { message: 'null' }, { message: '7' }],
  )
})
