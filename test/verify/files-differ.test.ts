import { join } from 'node:path'
import t, { type Test } from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { breakable, differing } from './broken.ts'

const { url, history } = await breakable(t)
const hour = 3_600_000

type Line = Record<string, unknown>

/** The case changes the files as they were written, and breaks exactly these invariants. */
type Case = {
  broken: string
  ledger?: (lines: Line[]) => unknown
  acks?: (lines: Line[]) => unknown
  found: Record<string, RegExp>
}

const cases: Case[] = [
  {
    broken: 'a request under another key',
    ledger: (lines) => (requestOf(lines, 'refused').key = 'arpplfgyduxscngwcfi624jgbwhxtzsx'),
    found: { S8: /^refused: was sent under the key arpplfgyduxscngwcfi624jgbwhxtzsx$/ },
  },
  {
    broken: 'a request without a key',
    ledger: (lines) => (requestOf(lines, 'refused').key = null),
    found: { S8: /^refused: a request without a key at byte \d+ of the ledger$/ },
  },
  {
    broken: 'other bytes sent than received',
    ledger: (lines) => (requestOf(lines, 'refused').sha256 = 'ab'.repeat(32)),
    found: { S13: /^refused: the bytes sent do not have the hash of the bytes received$/ },
  },
  {
    broken: 'other bytes sent the second time',
    ledger: (lines) => (requestOf(lines, 'told to wait', 1).sha256 = 'ab'.repeat(32)),
    found: { S13: /^told to wait: its requests did not all carry the same bytes$/ },
  },
  {
    broken: 'an acknowledged record that the log lacks',
    acks: (lines) => lines.push({ ...ackOf(lines, 'delivered'), offset: 4, transaction_id: 'lost' }),
    found: { S20: /^lost: transactions\.incoming:0:4 is acknowledged, but not in the log$/ },
  },
  {
    broken: 'an acknowledged record with other bytes in the log',
    acks: (lines) => (ackOf(lines, 'delivered').sha256 = 'ab'.repeat(32)),
    found: { S20: /^delivered: transactions\.incoming:0:0 was acknowledged with other bytes$/ },
  },
  {
    broken: 'a record acknowledged twice with other bytes',
    acks: (lines) => lines.push({ ...ackOf(lines, 'delivered'), sha256: 'ab'.repeat(32) }),
    found: { S20: /^delivered: transactions\.incoming:0:0 was acknowledged with other bytes$/ },
  },
  {
    broken: 'more requests than attempts',
    ledger: (lines) => lines.push({ ...requestOf(lines, 'refused') }),
    found: { S21: /^refused: 2 requests, but 1 attempts were started$/ },
  },
  {
    broken: 'a request before its attempt',
    ledger: (lines) => {
      const line = requestOf(lines, 'refused')
      line.at = new Date(Date.parse(line.at as string) - hour).toISOString()
    },
    found: { S21: /^refused: request 1 came before attempt 1 was started$/ },
  },
  {
    broken: 'a request for a message of another database',
    ledger: (lines) =>
      lines.push({
        ...lines[0],
        transaction_id: 'tx-1',
        key: 'arpplfgyduxscngwcfi624jgbwhxtzsx',
      }),
    found: { S21: /^tx-1: was requested, but the log has no such message$/ },
  },
  {
    broken: 'a request of nobody knows what',
    ledger: (lines) =>
      lines.push({ ...lines[0], transaction_id: null, key: 'arpplfgyduxscngwcfi624jgbwhxtzsx' }),
    found: { S21: /^key arpplfgyduxscngwcfi624jgbwhxtzsx: was requested, but the log has no such message$/ },
  },
  {
    broken: 'a second effect',
    ledger: (lines) => (requestOf(lines, 'told to wait').effect = true),
    found: { S21: /^told to wait: has more than one effect$/ },
  },
  {
    broken: 'a success without an effect',
    ledger: (lines) => (requestOf(lines, 'delivered').effect = false),
    found: { S21: /^delivered: was accepted, and the ledger has no effect$/ },
  },
  {
    broken: 'a success without a request',
    ledger: (lines) => lines.splice(lines.indexOf(requestOf(lines, 'delivered')), 1),
    found: { S21: /^delivered: was accepted, and the ledger has no effect$/ },
  },
  {
    broken: 'an effect of a refused message',
    ledger: (lines) => (requestOf(lines, 'refused').effect = true),
    found: {
      S21: /^refused: has an effect, but is dead_letter, and no attempt was unknown, abandoned or late$/,
    },
  },
  {
    broken: 'nothing: an effect of a message whose attempt was abandoned',
    ledger: (lines) => (requestOf(lines, 'abandoned').effect = true),
    found: {},
  },
  {
    broken: 'nothing: a body whose identity the processor could not read, under the right key',
    ledger: (lines) => (requestOf(lines, 'refused').transaction_id = null),
    found: {},
  },
  {
    broken: 'nothing: an effect of a message that ended unknown',
    ledger: (lines) => (requestOf(lines, 'exhausted', 1).effect = true),
    found: {},
  },
]

for (const { broken, ledger, acks, found } of cases) {
  t.test(`${broken}: told as ${Object.keys(found).join(', ') || 'clean'} and as nothing else`, async (t) => {
    const lines = differing(
      await check(t, { ledger: change(history.ledger, ledger), acks: change(history.acks, acks) }),
    )
    t.same(Object.keys(lines), Object.keys(found), JSON.stringify(lines))
    for (const [id, line] of Object.entries(found)) t.match(lines[id]?.join('; '), line)
  })
}

t.test('a record that is acknowledged and not yet consumed is counted and is no difference', async (t) => {
  const later = JSON.stringify({ ...parse(history.acks[0]!), offset: 1_000 })
  const elsewhere = JSON.stringify({ ...parse(history.acks[0]!), partition: 7 })
  const report = await check(t, { ledger: null, acks: [...history.acks, later, elsewhere].join('\n') })
  t.equal(report.notYetConsumed, 2)
  t.same(differing(report), {})
})

t.test('a last line that is torn is let pass, in both files', async (t) => {
  const report = await check(t, {
    ledger: `${history.ledger.join('\n')}\n{"at":"2026-`,
    acks: `${history.acks.join('\n')}\n{"topic":"tra`,
  })
  t.same(differing(report), {})
})

t.test('a line that is torn in the middle of a file is a fault of the file and no report', async (t) => {
  const acks = history.acks.with(1, '{"topic":"tra').join('\n')
  await t.rejects(check(t, { ledger: null, acks }), {
    message: /^The file of acknowledgements .* has an unreadable line at byte \d+\.$/,
  })
})

t.test('a file of something else is a fault of the file', async (t) => {
  const ledger = history.acks.join('\n')
  await t.rejects(check(t, { ledger, acks: null }), {
    message: /^The ledger .* has an unreadable line at byte 0\.$/,
  })
})

t.test('at most twenty differences are named, and the others are counted', async (t) => {
  const strays = Array.from({ length: 25 }, (_, nth) =>
    JSON.stringify({
      ...parse(history.ledger[0]!),
      transaction_id: null,
      key: `a${String.fromCharCode(97 + nth)}`.padEnd(32, 'q'),
    }),
  )
  const report = await check(t, { ledger: [...history.ledger, ...strays].join('\n'), acks: null })
  const s21 = report.invariants.find((invariant) => invariant.id === 'S21')
  t.equal(s21?.differences, 25)
  t.equal(s21?.named.length, 20)
})

async function check(t: Test, files: { ledger: string | null; acks: string | null }) {
  const folder = t.testdir({ ledger: files.ledger ?? '', acks: files.acks ?? '' })
  return verify({
    databaseUrl: url,
    ledgerPath: files.ledger === null ? null : join(folder, 'ledger'),
    acksPath: files.acks === null ? null : join(folder, 'acks'),
  })
}

function change(lines: readonly string[], by: Case['ledger']): string {
  const values = lines.map(parse)
  by?.(values)
  return values.map((value) => `${JSON.stringify(value)}\n`).join('')
}

function parse(line: string): Line {
  return JSON.parse(line) as Line
}

/** The line of the record that was first acknowledged with this id. */
function ackOf(lines: Line[], transactionId: string): Line {
  const found = lines.find((line) => line.transaction_id === transactionId)
  if (found === undefined) throw new Error(`no acknowledgement of ${transactionId}`)
  return found
}

function requestOf(lines: Line[], transactionId: string, nth = 0): Line {
  return lines.filter((line) => line.transaction_id === transactionId)[nth]!
}
