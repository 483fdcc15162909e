import t from 'tap'
import { findWaiting } from '../../src/ingest/find-waiting.ts'
import { newPlace, type Place } from '../../src/ingest/place.ts'

const leader = { nodeId: 2, address: 'kafka-2:9092' }

function place(partition: number, fields: Partial<Place>): Place {
  return { ...newPlace(partition), state: 'reading', ...fields }
}

t.test('each partition that cannot be read is told with its reason, and no other', (t) => {
  const places = [
    place(0, {}),
    place(1, {}),
    place(2, { refusals: 2, refusal: 'KAFKA_STORAGE_ERROR' }),
    place(3, { silentMs: 17_000 }),
    // A moment's refusal, as when a leader moves, and a pause, as while much is being stored.
    place(4, { refusals: 1, refusal: 'NOT_LEADER_OR_FOLLOWER' }),
    place(5, { silentMs: 14_000 }),
    // It waits for an operator.
    place(6, { state: 'stopped', silentMs: 60_000 }),
    place(7, { silentMs: 17_000 }),
    place(8, { silentMs: 17_000, heldBackMs: 16_000 }),
    place(9, { silentMs: 14_000, heldBackMs: 14_000 }),
    // It answers no more, although it could.
    place(10, { silentMs: 33_000, heldBackMs: 16_000 }),
  ]
  const leaders = new Map(places.map(({ partition }) => [partition, partition === 1 ? null : leader]))
  leaders.delete(7)
  t.strictSame(findWaiting(places, leaders), [
    { partition: 1, reason: 'It has no leader: the brokers that store its records are down.' },
    {
      partition: 2,
      reason: 'Its leader, broker 2 at kafka-2:9092, refuses to serve it: KAFKA_STORAGE_ERROR.',
    },
    { partition: 3, reason: 'Its leader, broker 2 at kafka-2:9092, has not answered for 17 s.' },
    { partition: 7, reason: 'Kafka has no such partition any more: the topic was created again with fewer.' },
    {
      partition: 8,
      reason:
        'Its leader, broker 2 at kafka-2:9092, holds this client back by a quota: nothing was read for 17 s.',
    },
    { partition: 10, reason: 'Its leader, broker 2 at kafka-2:9092, has not answered for 17 s.' },
  ])
  t.strictSame(
    findWaiting([place(0, { silentMs: 17_000 })], new Map()),
    [{ partition: 0, reason: 'Its leader has not answered for 17 s.' }],
    'nobody has said yet who leads',
  )
  t.end()
})
