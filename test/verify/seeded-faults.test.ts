import t from 'tap'
import { readFunctions } from '../../src/runtime/migrate.ts'
import { verify } from '../../src/verify/verify.ts'
import { database } from '../support/database.ts'
import { differing } from './broken.ts'
import { unavailable, writeHistory, type History } from './history.ts'

type Fault = {
  function: string
  right: string
  wrong: string
  found: Record<string, RegExp>
  /** What shows the fault where the history alone need not. */
  also?: (history: History) => Promise<void>
}

/** A plausible mistake in one of the functions that write the log, and what must become of a history written with it. */
const faults: Fault[] = [
  {
    function: 'claim',
    right: 's.due_at <= looked_at and',
    wrong: '',
    // Others may start early too: that depends on how long the history took to write.
    found: { S9: /^early v4: starts \d+ µs before it is due$/ },
    also: startEarly,
  },
  {
    function: 'abandon',
    right: 'then 0 else 1 end as retry_count',
    wrong: 'then 0 else 0 end as retry_count',
    found: { S4: /^abandoned v3: retry_count is 0, folding gives 1$/ },
  },
  {
    function: 'ingest',
    right: `where r.result in ('d', 'c')`,
    wrong: `where r.result in ('c')`,
    found: { S12: /^transactions\.incoming:0: offsets \d+ to \d+: says 1 duplicates, but the log has 0$/ },
  },
  {
    function: 'project',
    right: 'greatest(s.attempts, f.attempt)',
    wrong: 'coalesce(f.attempt, s.attempts)',
    found: { S4: /^late from the grave v7: message_states\.attempts is 1, folding gives 2$/ },
  },
  {
    function: 'count_steps',
    right: `(where s.to_status = 'failed')`,
    wrong: `(where s.to_status in ('failed', 'dead_letter'))`,
    found: { S4: /^count of failed: is \d+, folding gives 0$/ },
  },
]

for (const fault of faults) {
  t.test(
    `${fault.function}.sql with ${fault.wrong || 'nothing'} for ${fault.right} is found out`,
    async (t) => {
      const { url, pool } = await database(t)
      const sources = await readFunctions()
      const sql = sources.find(({ name }) => name === `${fault.function}.sql`)?.sql ?? ''
      if (!sql.includes(fault.right)) throw new Error(`${fault.function}.sql no longer says ${fault.right}`)
      await pool.query(sql.replaceAll(fault.right, fault.wrong))
      const history = await writeHistory(pool)
      await fault.also?.(history)
      const lines = differing(await verify({ databaseUrl: url, ledgerPath: null, acksPath: null }))
      t.same(Object.keys(lines), Object.keys(fault.found), JSON.stringify(lines))
      for (const [id, line] of Object.entries(fault.found))
        t.ok(
          lines[id]?.some((each) => line.test(each)),
          `${id}: ${lines[id]?.join('; ')}`,
        )
    },
  )
}

/** Claims what is due in an hour, which only a claim that does not look at the time hands out. */
async function startEarly(history: History): Promise<void> {
  const [claim] = await history.receive(['early'], { instance: 'patient', room: 1, partition: 9 })
  await history.settle(claim!, unavailable, 'fresh', 'patient')
  await history.claim('retry', 'patient')
}
