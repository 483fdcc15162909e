import t from 'tap'
import { makeSegments } from '../../src/log/server/make-segments.ts'
import { verify } from '../../src/verify/verify.ts'
import { accepted, deadLetter, fresh, record, refused, settle, settlement, store } from '../log/support.ts'
import { archiveAll } from '../support/archive.ts'
import { database } from '../support/database.ts'
import { headPasses } from '../support/head-passes.ts'
import { makeSmallSegments } from '../support/segments.ts'
import { until } from '../support/until.ts'
import { graphql } from './graphql/graphql.ts'
import { startService } from './service.ts'
import { hearEvents } from './stream/support.ts'

const segments = 6
const size = 10
const partition = 7

// Clients ask, page, subscribe and replay, and records come again, while one segment after the other is archived.
t.test(
  'beside an archive nobody gets half an answer, and nothing is lost or replayed in an archive',
  async (t) => {
    const { url, pool } = await database(t)
    await makeSmallSegments(pool, size)
    const service = await startService(t, pool)
    const heard = await hearEvents(t, url)
    t.teardown(heard.on(() => service.events.give()))
    const ask = (query: string, variables = {}) => graphql(service, query, variables)
    const ids = Array.from({ length: segments * size }, (_, at) => `tx-${at}`)
    for (let from = 0; from < ids.length; from += size) {
      await makeSegments(pool, size)
      const records = ids.slice(from, from + size).map((id, at) => record(from + at, id))
      const { claims } = await store(pool, records, { partition, room: size })
      await settle(
        pool,
        fresh,
        claims.map(({ messageId }, at) =>
          at === 3 ? settlement(messageId, 1, refused, deadLetter) : settlement(messageId, 1, accepted),
        ),
      )
    }
    await makeSegments(pool, size)
    // Their segment is the present one, so it stays.
    await store(pool, [record(ids.length, 'open-0')], { partition })

    // An event above the watermark counts as appended meanwhile, and the transactions of others hold it back.
    await headPasses(pool)
    const state = { over: false }
    const faults: unknown[] = []
    const codes = new Map<unknown, number>()
    const seen = (answer: Awaited<ReturnType<typeof graphql>>): boolean => {
      for (const { extensions, message } of answer.errors ?? []) {
        const code = extensions?.code
        codes.set(code, (codes.get(code) ?? 0) + 1)
        if (code !== 'ARCHIVED' && code !== 'CURSOR_EXPIRED') faults.push({ code, message })
      }
      return answer.errors !== undefined
    }
    const repeat = async (act: (turn: number) => Promise<void>): Promise<number> => {
      let turn = 0
      for (; !state.over; turn++) await act(turn)
      return turn
    }

    const reading = repeat(async (turn) => {
      const id = ids[(turn * 7) % ids.length]
      const answer = await ask(
        `query ($id: ID!) { message(transactionId: $id) {
        version history { version } asOf(time: "2100-01-01T00:00:00Z") { version } payload { text sha256 } source { offset }
      } }`,
        { id },
      )
      if (seen(answer)) return
      const { message } = answer.data as {
        message: {
          version: number
          history: unknown[]
          asOf: { version: number } | null
          payload: { text: string | null; sha256: string | null } | null
          source: object | null
        } | null
      }
      if (message === null) faults.push({ id, never: 'seen' })
      else if (
        message.history.length < message.version ||
        message.asOf === null ||
        message.asOf.version < message.version ||
        typeof message.payload?.text !== 'string' ||
        typeof message.payload.sha256 !== 'string' ||
        message.source === null
      )
        faults.push(message)
    })
    const finding = repeat(async (turn) => {
      const offset = (turn * 11) % ids.length
      const answer = await ask(
        `query ($offset: BigInt!) { record(topic: "incoming", partition: ${partition}, offset: $offset) { transactionId } }`,
        { offset },
      )
      if (seen(answer)) return
      const { record: found } = answer.data as { record: { transactionId: string } | null }
      if (found?.transactionId !== ids[offset]) faults.push({ offset, found })
    })
    const paging = repeat(async () => {
      let after: string | null = null
      do {
        const answer: Awaited<ReturnType<typeof graphql>> = await ask(
          `query ($after: String) {
          messages(first: 7, after: $after, orderBy: UPDATED_DESC) { nodes { transactionId } pageInfo { hasNextPage endCursor } }
          events(first: 1) { nodes { transactionId } }
        }`,
          { after },
        )
        if (seen(answer)) return
        const { messages } = answer.data as {
          messages: { pageInfo: { hasNextPage: boolean; endCursor: string | null } }
        }
        after = messages.pageInfo.hasNextPage ? messages.pageInfo.endCursor : null
      } while (after !== null && !state.over)
    })
    const replayed = new Set<string>()
    const replaying = repeat(async (turn) => {
      // The dead letters of two segments; those of the others are left alone, so that there is something to archive.
      const id = ids[[13, 43][turn % 2]!]!
      const answer = await ask(
        `mutation ($id: ID!) { replay(transactionId: $id, reason: "mended") { __typename } }`,
        { id },
      )
      if (seen(answer)) return
      const { replay } = answer.data as { replay: { __typename: string } }
      if (replay.__typename === 'Replayed') replayed.add(id)
      else if (!['NotReplayable', 'MessageArchived'].includes(replay.__typename)) faults.push({ id, replay })
    })
    let archivedAgain = 0
    const repeating = repeat(async (turn) => {
      const { rows } = await pool.query<{ id: string }>(
        `select i.transaction_id as id from inbox i
        join segment_archives a on i.message_id >= a.first_message_id and i.message_id < a.next_message_id
        order by i.message_id desc limit 1`,
      )
      await store(pool, [record(ids.length + 1 + turn, rows[0]?.id ?? 'open-0')], { partition })
      archivedAgain += rows.length
    })

    await until('a replay', () => replayed.size > 0)
    const names = await archiveAll(url, t.testdir())
    await until('a record of an archived payment', () => archivedAgain > 0).finally(() => (state.over = true))
    const turns = await Promise.all([reading, finding, paging, replaying, repeating])
    t.ok(
      turns.every((each) => each > 0),
      turns.join(),
    )
    t.strictSame(faults, [])
    t.equal(names.length, segments - replayed.size, names.join())
    t.ok((codes.get('ARCHIVED') ?? 0) > 0)
    for (const id of replayed)
      t.match(await ask('query ($id: ID!) { message(transactionId: $id) { status } }', { id }), {
        data: { message: { status: 'PENDING' } },
      })
    const report = await verify({ databaseUrl: url, ledgerPath: null, acksPath: null })
    t.strictSame(
      report.invariants.filter(({ differences }) => differences > 0).map(({ id }) => id),
      ['S14'],
      'nothing is amiss but that no registered instance wrote this log',
    )
  },
)
