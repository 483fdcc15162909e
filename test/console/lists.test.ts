import { readFile } from 'node:fs/promises'
import t from 'tap'
import { stopPartition } from '../../src/log/write/stop-partition.ts'
import { startService, store, storeDeadLetters } from '../api/service.ts'
import { database } from '../support/database.ts'
import { until } from '../support/until.ts'
import { build, findBarriers, graphql, skip, watch } from './watching.ts'

t.before(build)

t.test(
  'from a group of failures it is three presses to a replay, and lists go on by themselves',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, events } = await startService(t, pool)
    await storeDeadLetters(
      pool,
      Array.from({ length: 30 }, (_, at) => `pay-${at}`),
    )
    await store(pool, ['record:transactions.incoming:0:30'], { rejection: 'not JSON: <b>bold</b>' })
    const { page, go, faults, refused } = await watch(t, `http://127.0.0.1:${port}`)
    const rows = page.locator('tbody tr')

    await go('failures')
    await page.getByRole('link', { name: 'HTTP 422' }).waitFor()
    const group = rows.filter({ hasText: 'HTTP 422' })
    t.match(await group.innerText(), /30[^]*growing|30[^]*steady/)
    t.equal(await group.locator('a').count(), 4, 'the messages, and three examples')
    t.strictSame(await findBarriers(page), [], 'groups')
    await page.getByRole('link', { name: 'HTTP 422' }).click()
    await page.getByText('Open dead letters of this group: 30').waitFor()
    await page.getByText('30 in all, 30 are open dead letters').waitFor()
    t.equal(await rows.count(), 25, 'a page')
    await page.getByRole('button', { name: 'Next page' }).click()
    await until('the next page', async () => (await rows.count()) === 5)
    await page.getByRole('button', { name: 'Page before' }).click()
    await until('the page before', async () => (await rows.count()) === 25)
    t.strictSame(await findBarriers(page), [], 'a group')
    await page.getByRole('button', { name: 'Choose all' }).click()
    await page.getByRole('button', { name: 'Replay 25' }).click()
    await page.getByLabel('Reason').fill('the processor is well again')
    await page.getByRole('dialog').getByRole('button', { name: 'Replay', exact: true }).click()
    await page.getByText('Replayed: 25.').waitFor()
    await until('what is left', async () => (await rows.count()) === 5)

    await go('dead-letters')
    await page.getByText('Open dead letters: 6').waitFor()
    t.strictSame(await findBarriers(page), [], 'dead letters')
    await page.getByLabel('Cause').selectOption('REJECTED_RECORD')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByText('Open dead letters: 1').waitFor()
    t.match(await rows.innerText(), '<b>bold</b>')
    await rows.getByRole('checkbox').check()
    t.ok(await page.getByRole('button', { name: 'Replay 1' }).isDisabled(), 'it can never be sent')
    await page.getByRole('button', { name: 'Resolve 1' }).click()
    await page.getByLabel('What became of the payment').selectOption('IGNORED')
    await page.getByLabel('Reason').fill('a test of the producer')
    // Somebody else is quicker, and the dialog says so.
    const { messages } = (await graphql(
      port,
      '{ messages(filter: { deadLetterCause: [REJECTED_RECORD] }) { nodes { transactionId } } }',
    )) as {
      messages: { nodes: { transactionId: string }[] }
    }
    const id = messages.nodes[0]?.transactionId
    await graphql(
      port,
      'mutation ($id: ID!) { resolve(transactionId: $id, as: IGNORED, reason: "quicker") { __typename } }',
      { id },
    )
    await page.getByRole('dialog').getByRole('button', { name: 'Resolve', exact: true }).click()
    await page.getByRole('alert').getByText('Refused: 1').waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('No such dead letter is open.').waitFor()
    await page.getByLabel('Which').selectOption('resolved')
    await page.getByRole('button', { name: 'Filter' }).click()
    await page.getByText('Resolved dead letters: 1').waitFor()

    await go('dead-letters')
    await page.getByText('Open dead letters: 5').waitFor()
    await storeDeadLetters(pool, ['pay-late'])
    events.give()
    await page.getByText('Open dead letters: 6').waitFor()
    t.strictSame([faults, refused], [[], []])
  },
)

t.test('a stopped partition tells why, and the command that decides', { skip }, async (t) => {
  const { pool } = await database(t)
  const { port } = await startService(t, pool)
  await store(pool, ['pay-1', 'pay-2'])
  const reason =
    'records are gone: `npm run partition -- --topic transactions.incoming --partition 0 --accept-gap --reason WHY`.'
  const stop = {
    topic: 'transactions.incoming',
    partition: 0,
    incarnation: 1,
    next: 2n,
    resume: null,
    reason,
  }
  t.equal(await stopPartition(pool, stop, 'instance-1'), true)
  const { page, go } = await watch(t, `http://127.0.0.1:${port}`)
  await go('partitions')
  await page.getByRole('button', { name: 'Copy the command' }).waitFor()
  t.match(await page.locator('code').innerText(), /^npm run partition -- .* --reason WHY$/)
  t.match(await page.locator('tbody tr').innerText(), /stopped[^]*2[^]*yes/)
  t.strictSame(await findBarriers(page), [])
  await go('now')
  await page.getByText('Partition 0 of transactions.incoming is stopped').waitFor()
})

t.test(
  'the journal has what operators and the guard decided, in order, and gives it away',
  { skip },
  async (t) => {
    const { pool } = await database(t)
    const { port, events, destinationChanges } = await startService(t, pool)
    await storeDeadLetters(pool, ['pay-1', 'pay-2'])
    const decide = (query: string) => graphql(port, `mutation { ${query} { __typename } }`)
    await decide('pauseDestination(reason: "a night of theirs")')
    await decide(
      'resolve(transactionId: "pay-1", as: CARRIED_OUT, reason: "=1+1, said the bank", evidence: "7")',
    )
    const { page, go, faults } = await watch(t, `http://127.0.0.1:${port}`)
    const rows = page.locator('tbody tr')
    await go('journal')
    await until('both', async () => (await rows.count()) === 2)
    t.match(await rows.allInnerTexts(), [
      /resolved: carried out[^]*pay-1[^]*said the bank/,
      /paused[^]*theirs/,
    ])
    t.strictSame(await findBarriers(page), [])
    await decide('reopen(transactionId: "pay-1", reason: "＝1+1")')
    events.give()
    await until('the next', async () => (await rows.count()) === 3)
    await decide('resumeDestination(reason: "they are back")')
    destinationChanges.give()
    await until('the one after', async () => (await rows.count()) === 4)
    const files: string[] = []
    for (const name of ['Export as CSV', 'Export as JSON lines']) {
      const [file] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name }).click(),
      ])
      files.push(await readFile(await file.path(), 'utf8'))
    }
    const [csv = '', lines = ''] = files
    t.equal(csv.split('\r\n').length, 6, 'a heading, four lines and the end')
    t.match(csv, `"'=1+1, said the bank"`, 'no formula')
    t.match(csv, ",'＝1+1,", 'nor a wide one')
    t.strictSame(
      lines
        .trim()
        .split('\n')
        .map((line) => (JSON.parse(line) as { decision: string }).decision),
      ['ramping: operator', 'reopened', 'resolved: carried out', 'paused: operator'],
    )
    const { rows: exports } = await pool.query<{ what: string }>(
      `select concat_ws(' ', name, details->>'format', amount) as what from accesses where kind = 'exported' order by access`,
    )
    t.strictSame(
      exports.map(({ what }) => what),
      ['journal csv 4', 'journal jsonl 4'],
    )
    await page.getByLabel('About').selectOption('DESTINATION')
    await page.getByRole('button', { name: 'Filter' }).click()
    await until('those of the destination', async () => (await rows.count()) === 2)
    t.strictSame(faults, [])
  },
)
