import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startMock } from '../support/mock.ts'
import { startReadyService } from '../support/service.ts'

t.test(
  'of twenty replays of a dead letter at once one is accepted, and the transaction is delivered',
  async (t) => {
    const line = await setUpLine(t, ['--status', '400'])
    const service = await startReadyService(t, line.settings)
    await line.produce(1)
    t.match(await line.settled(1), { dead_letter: 1 })
    const { rows } = await line.pool.query<{ transaction_id: string }>('select transaction_id from messages')
    const id = rows[0]!.transaction_id

    await line.mock.stop()
    const { port, ledgerPath } = line.mock
    await startMock(t, ['--port', String(port), '--ledger', ledgerPath, '--success', '1'])
    const replay = () => fetch(`${service.url}/replay/${encodeURIComponent(id)}`, { method: 'POST' })
    const answers = await Promise.all(Array.from({ length: 20 }, replay))
    const statuses = answers.map(({ status }) => status).sort()
    t.same(statuses, [200, ...Array.from({ length: 19 }, () => 409)])

    t.match(await line.settled(1), { success: 1, dead_letter: 0 })
    const [transaction] = (await (await fetch(`${service.url}/transactions`)).json()) as object[]
    t.match(transaction, { transaction_id: id, status: 'success', retry_count: 0, error_message: null })
    t.same(
      (await line.ledger()).map(({ status, effect }) => ({ status, effect })),
      [
        { status: 400, effect: false },
        { status: 200, effect: true },
      ],
    )
    await line.isClean(t)
  },
)
