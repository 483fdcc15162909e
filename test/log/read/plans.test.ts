import t from 'tap'
import { database } from '../../support/database.ts'

t.test('a function that switches methods of the planner off compiles nothing', async (t) => {
  const { pool } = await database(t)
  // What is switched off costs 10¹⁰, which is above every threshold of the compiler: a look took 224 ms.
  const { rows } = await pool.query<{ name: string; compiles: boolean }>(
    `select p.proname as name, 'jit=off' <> all (p.proconfig) as compiles
      from pg_proc p
      where p.pronamespace = 'public'::regnamespace
        and exists (select from unnest(p.proconfig) as c (setting) where starts_with(setting, 'enable_') and setting like '%=off')`,
  )
  t.ok(rows.length > 10, 'there are such functions')
  t.same(
    rows.filter(({ compiles }) => compiles).map(({ name }) => name),
    [],
  )
})
