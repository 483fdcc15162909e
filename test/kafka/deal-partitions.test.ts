import { AssignerProtocol } from 'kafkajs'
import t from 'tap'
import { dealPartitions, type Reader } from '../../src/kafka/deal-partitions.ts'
import { readMemberMetadata, writeMemberMetadata } from '../../src/kafka/member-metadata.ts'

t.test('members of one topic get equal shares, the first by its id the first partition', (t) => {
  t.strictSame(deal([reader('b', 'x'), reader('a', 'x'), reader('c', 'x')], { x: [0, 1, 2, 3] }), {
    a: { x: [0, 3] },
    b: { x: [1] },
    c: { x: [2] },
  })
  t.end()
})

t.test('nobody gets what it does not read, and who reads several topics gets less of each', (t) => {
  const readers = [reader('a', 'x'), reader('b', 'y'), reader('c', 'x', 'y'), reader('d')]
  t.strictSame(deal(readers, { y: [0, 1, 2], x: [0, 1, 2], z: [0] }), {
    a: { x: [0, 2] },
    b: { y: [0, 1] },
    c: { x: [1], y: [2] },
    d: {},
  })
  t.end()
})

t.test('what a member says of its topics is read by us, and its topics by everyone', (t) => {
  const bytes = writeMemberMetadata(new Map([['x', [0, 1]]]))
  t.strictSame(readMemberMetadata(bytes), { topics: ['x'], partitions: new Map([['x', [0, 1]]]) })
  t.match(AssignerProtocol.MemberMetadata.decode(bytes), { version: 0, topics: ['x'] })
  t.end()
})

t.test('a member of another program is understood as far as can be, and does no harm', (t) => {
  const encode = (userData: Buffer) =>
    AssignerProtocol.MemberMetadata.encode({ version: 1, topics: ['x'], userData })
  for (const userData of ['', '{', 'null', '7', '{"partitions":null}', '{"partitions":{"x":7}}'])
    t.strictSame(readMemberMetadata(encode(Buffer.from(userData))), { topics: ['x'], partitions: new Map() })
  t.strictSame(readMemberMetadata(encode(Buffer.from('{"partitions":{"x":[0,-1,"2",1.5]}}'))), {
    topics: ['x'],
    partitions: new Map([['x', [0]]]),
  })
  for (const bytes of [Buffer.alloc(0), Buffer.from([0, 0, 0x7f, 0xff, 0xff, 0xff])])
    t.strictSame(readMemberMetadata(bytes), { topics: [], partitions: new Map() })
  t.end()
})

function reader(memberId: string, ...topics: string[]): Reader {
  return { memberId, topics }
}

function deal(readers: Reader[], partitions: Record<string, number[]>) {
  const dealt = dealPartitions(readers, new Map(Object.entries(partitions)))
  return Object.fromEntries([...dealt].map(([id, topics]) => [id, Object.fromEntries(topics)]))
}
