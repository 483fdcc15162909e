import t from 'tap'
import { verify } from '../../src/verify/verify.ts'
import { allow, append, breakable, differing } from './broken.ts'

const { url, pool, mend } = await breakable(t)

const idOf = (name: string) =>
  `(select message_id from saved.message_states where transaction_id = '${name}')`

async function change(...statements: string[]): Promise<void> {
  for (const statement of statements) {
    const { rowCount } = await pool.query(statement)
    if (rowCount === 0) throw new Error(`nothing is broken by ${statement}`)
  }
}

/** An attempt that nobody should have started, and its end. */
async function attempt(name: string, from: 'on_hold' | 'dead_letter', nth: number): Promise<void> {
  await allow(pool, from, 'attempt_started', 'processing')
  const of = { actor: 'steady/fresh', attempt: nth }
  await append(pool, name, 600_000, { ...of, type: 'attempt_started', status: 'processing' })
  await append(pool, name, null, {
    ...of,
    type: 'succeeded',
    status: 'success',
    outcome: 'accepted',
    status_code: 200,
    duration_ms: 3,
  })
}

/** An operator's event after the last one of a message. */
async function decide(name: string, type: string, changes: Record<string, unknown> = {}): Promise<void> {
  await append(pool, name, null, { type, actor: 'alice', reason: 'why', ...changes })
}

/** Each breaks these invariants and no others. What `follows` is repaired before, so that the log alone is broken. */
const cases: { broken: string; by: () => Promise<void>; found: Record<string, RegExp>; follows?: boolean }[] =
  [
    {
      broken: 'an attempt of a message on hold',
      // The trigger itself refuses it, unless the step is made legal.
      by: () => attempt('kept on hold', 'on_hold', 1),
      follows: true,
      found: {
        S26: /^kept on hold v3: attempt 1 starts, but it is on hold since version 2$/,
      },
    },
    {
      broken: 'an attempt of a message that was cancelled',
      by: () => attempt('cancelled', 'dead_letter', 1),
      found: {
        S7: /^cancelled v4: attempt_started after dead_letter$/,
        S26: /^cancelled v4: attempt 1 starts, but it was cancelled at version 3$/,
      },
    },
    {
      broken: 'a replay of a resolved dead letter',
      by: () =>
        append(pool, 'resolved', 0, { type: 'replayed', status: 'pending', actor: 'alice', reason: 'why' }),
      follows: true,
      found: { S26: /^resolved v6: replayed, but it is resolved since version 5$/ },
    },
    {
      broken: 'a second hold',
      by: () => decide('kept on hold', 'held'),
      found: { S26: /^kept on hold v3: held, but it is on hold since version 2$/ },
    },
    {
      broken: 'a release of what is not on hold',
      by: async () => {
        for (let times = 0; times < 2; times++)
          await append(pool, 'kept on hold', 0, { type: 'released', actor: 'alice', reason: 'why' })
      },
      found: { S26: /^kept on hold v4: released, but it is not on hold$/ },
    },
    {
      broken: 'a second resolution',
      by: () => decide('resolved', 'resolved', { resolution: 'ignored' }),
      found: { S26: /^resolved v6: resolved, but it is resolved since version 5$/ },
    },
    {
      broken: 'a resolution as nothing that is known',
      by: () => decide('refused', 'resolved', { resolution: 'paid' }),
      found: { S26: /^refused v5: resolved as paid$/ },
    },
    {
      broken: 'a reopening of what is open',
      by: () => decide('refused', 'reopened'),
      found: { S26: /^refused v5: reopened, but it is not resolved$/ },
    },
    {
      broken: 'a decision without a reason',
      by: () =>
        change(
          `update message_events set reason = ' ' where type = 'held' and message_id = ${idOf('kept on hold')}`,
        ),
      found: { S14: /^kept on hold v2: held without a reason$/ },
    },
    {
      broken: 'a message on hold that is due',
      by: () => change(`update message_states set due_at = now() where message_id = ${idOf('kept on hold')}`),
      found: { S4: /^kept on hold v2: message_states.due_at is .*, folding gives null$/ },
    },
    {
      broken: 'a released message that was due before it was released',
      by: () =>
        change(
          `update message_events set due_at = recorded_at - interval '1 second' where type = 'released' and message_id = ${idOf('held between')}`,
        ),
      found: { S4: /^held between v6: due_at is .*, folding gives / },
    },
    {
      broken: 'a hold that nobody kept',
      by: () => change(`delete from decided_messages where message_id = ${idOf('kept on hold')}`),
      found: { S4: /^kept on hold v2: decided_messages says nothing, folding gives on hold at version 2$/ },
    },
    {
      broken: 'another resolution than in the log',
      by: () =>
        change(`update decided_messages set resolution = 'ignored' where message_id = ${idOf('resolved')}`),
      found: {
        S4: /^resolved v5: decided_messages says ignored at version 5, folding gives duplicate at version 5$/,
      },
    },
    {
      broken: 'a decision about no message',
      by: () => change('insert into decided_messages values (4711, 1, null)'),
      found: { S4: /^message 4711 v1: is in decided_messages, but not in message_states$/ },
    },
  ]

for (const { broken, by, found, follows = false } of cases) {
  t.test(`${broken}: told as ${Object.keys(found).join(', ')} and as nothing else`, async (t) => {
    t.teardown(mend)
    await by()
    if (follows) await pool.query('select rebuild_decisions(0, 1000), rebuild_counts()')
    await pool.query('select rebuild_rollups()')
    const lines = differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
    t.same(Object.keys(lines), Object.keys(found), JSON.stringify(lines))
    for (const [id, line] of Object.entries(found))
      t.ok(
        lines[id]?.some((each) => line.test(each)),
        `${id}: ${String(line)} in ${lines[id]?.join('; ')}`,
      )
  })
}

for (const measure of ['resolved_dead_letter', 'open_dead_letter_cancelled'])
  t.test(`a wrong count of ${measure} is told`, async (t) => {
    t.teardown(mend)
    await pool.query('select fold_piece()')
    await pool.query(
      `insert into status_count_deltas (position, pending, processing, success, failed, dead_letter, minutes, measures,
      buckets, counts)
    select current_position(), 0, 0, 0, 0, 0, array['-infinity'::timestamptz], array[$1], array[0], array[1]`,
      [measure],
    )
    t.match(differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })), {
      S4: [new RegExp(`^rollup of ${measure}: bucket 0 at now is \\d+, folding gives \\d+$`)],
    })
  })
