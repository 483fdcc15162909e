import t, { type Test } from 'tap'
import { errorCode } from '../../src/embedded/broker/error-code.ts'
import { Group, type JoinRequest } from '../../src/embedded/broker/group.ts'
import { ProducerSequences } from '../../src/embedded/broker/producer-sequences.ts'
import type { RecordBatch } from '../../src/embedded/broker/record-batch.ts'

t.test('a newcomer is given its id first, and an id that nobody gave out is unknown', async (t) => {
  const group = open(t)
  const invited = await group.join(request({ invite: true }))
  t.equal(invited.error, errorCode.memberIdRequired)
  const joined = await group.join(request({ invite: true, memberId: invited.memberId }))
  t.match(joined, {
    error: errorCode.none,
    generation: 1,
    leaderId: invited.memberId,
    memberId: invited.memberId,
  })
  t.match(await group.join(request({ memberId: 'made-up' })), { error: errorCode.unknownMemberId })
})

t.test('the leader learns of all members, and each member gets what the leader assigned to it', async (t) => {
  const group = open(t)
  const [leader, follower] = await joinTwo(group)
  t.same(
    leader.members.map(({ memberId }) => memberId),
    [leader.memberId, follower.memberId],
  )
  t.same(follower.members, [])
  const waiting = group.sync(follower.memberId, follower.generation, new Map())
  const assignments = new Map([
    [leader.memberId, Buffer.from('L')],
    [follower.memberId, Buffer.from('F')],
  ])
  t.same((await group.sync(leader.memberId, leader.generation, assignments)).assignment, Buffer.from('L'))
  t.same((await waiting).assignment, Buffer.from('F'))
  t.equal(group.state, 'Stable')
})

t.test('a member whose session ends is removed, and the others are told to join again', async (t) => {
  const group = open(t)
  const silent = await group.join(request({ sessionTimeoutMs: 30 }))
  const joining = group.join(request())
  await group.join(request({ memberId: silent.memberId, sessionTimeoutMs: 30 }))
  const lively = await joining
  void group.sync(lively.memberId, lively.generation, new Map())
  while (group.members().some(({ id }) => id === silent.memberId)) await turn()
  t.equal(group.heartbeat(lively.memberId, lively.generation), errorCode.rebalanceInProgress)
  t.equal(group.heartbeat(silent.memberId, silent.generation), errorCode.unknownMemberId)
  t.match(await group.join(request({ memberId: lively.memberId })), {
    leaderId: lively.memberId,
    generation: 3,
  })
})

t.test('a member that does not join again in time is left out of the next generation', async (t) => {
  const group = open(t)
  const slow = await group.join(request({ rebalanceTimeoutMs: 30 }))
  const newcomer = await group.join(request({ rebalanceTimeoutMs: 30 }))
  t.equal(newcomer.leaderId, newcomer.memberId)
  t.equal(group.heartbeat(slow.memberId, slow.generation), errorCode.unknownMemberId)
})

t.test('a sync that waits when the group changes is sent to join again', async (t) => {
  const group = open(t)
  const [, follower] = await joinTwo(group)
  const waiting = group.sync(follower.memberId, follower.generation, new Map())
  void group.join(request())
  t.match(await waiting, { error: errorCode.rebalanceInProgress })
  t.match(await group.sync(follower.memberId, follower.generation, new Map()), {
    error: errorCode.rebalanceInProgress,
  })
})

t.test(
  'offsets are taken from members of the present generation, and from outside only while it is empty',
  async (t) => {
    const group = open(t)
    t.equal(group.judgeCommit('', -1), errorCode.none)
    const { memberId, generation } = await group.join(request())
    t.equal(group.judgeCommit(memberId, generation), errorCode.rebalanceInProgress, 'nothing is assigned yet')
    await group.sync(memberId, generation, new Map())
    t.equal(group.judgeCommit(memberId, generation), errorCode.none)
    t.equal(group.judgeCommit(memberId, generation - 1), errorCode.illegalGeneration)
    t.equal(group.judgeCommit('made-up', generation), errorCode.unknownMemberId)
    t.equal(group.judgeCommit('', -1), errorCode.unknownMemberId)
    t.equal(group.leave(memberId), errorCode.none)
    t.equal(group.judgeCommit('', -1), errorCode.none)
  },
)

t.test('members agree on the protocol that most of them prefer and all of them speak', async (t) => {
  const group = open(t)
  const first = await group.join(request({ protocols: protocols('sticky', 'range') }))
  const joining = group.join(request({ protocols: protocols('range', 'sticky') }))
  const third = group.join(request({ protocols: protocols('new', 'range', 'sticky') }))
  t.match(await group.join(request({ protocols: protocols('unheard') })), {
    error: errorCode.inconsistentGroupProtocol,
  })
  await group.join(request({ memberId: first.memberId, protocols: protocols('sticky', 'range') }))
  t.equal((await joining).protocol, 'range')
  t.equal((await third).protocol, 'range')
})

t.test("a producer's batch is next, stored already, or out of order, by its sequence and epoch", (t) => {
  const sequences = new ProducerSequences()
  const store = (sent: RecordBatch): void => {
    t.equal(sequences.judge(sent).kind, 'next')
    sequences.remember(sent)
  }
  store(batch({ baseSequence: 0, recordCount: 10, baseOffset: 100 }))
  t.same(sequences.judge(batch({ baseSequence: 0, recordCount: 10 })), { kind: 'duplicate', baseOffset: 100 })
  t.same(sequences.judge(batch({ baseSequence: 11 })), {
    kind: 'refused',
    error: errorCode.outOfOrderSequenceNumber,
  })
  store(batch({ baseSequence: 10, baseOffset: 110 }))
  store(batch({ producerEpoch: 1, baseSequence: 0, baseOffset: 111 }))
  t.same(sequences.judge(batch({ baseSequence: 11 })), {
    kind: 'refused',
    error: errorCode.invalidProducerEpoch,
  })
  store(batch({ producerId: 2, baseSequence: 2 ** 31 - 2, recordCount: 3, baseOffset: 112 }))
  store(batch({ producerId: 2, baseSequence: 1, baseOffset: 115 }))
  store(batch({ producerId: -1, baseSequence: -1 }))
  store(batch({ producerId: -1, baseSequence: -1 }))
  t.end()
})

function open(t: Test): Group {
  const group = new Group()
  t.teardown(() => group.close())
  return group
}

function request(part: Partial<JoinRequest> = {}): JoinRequest {
  return {
    memberId: '',
    clientId: 'test',
    clientHost: '127.0.0.1',
    sessionTimeoutMs: 60_000,
    rebalanceTimeoutMs: 60_000,
    protocolType: 'consumer',
    protocols: protocols('range'),
    invite: false,
    ...part,
  }
}

function protocols(...names: string[]): JoinRequest['protocols'] {
  return names.map((name) => ({ name, metadata: Buffer.from(name) }))
}

async function joinTwo(group: Group) {
  const { memberId } = await group.join(request())
  const joining = group.join(request())
  return [await group.join(request({ memberId })), await joining] as const
}

function batch(part: Partial<RecordBatch>): RecordBatch {
  return {
    baseOffset: 0,
    byteLength: 100,
    recordCount: 1,
    maxTimestamp: 0,
    transactional: false,
    producerId: 1,
    producerEpoch: 0,
    baseSequence: 0,
    ...part,
  }
}

async function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve))
}
