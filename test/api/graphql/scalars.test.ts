import { Kind, type GraphQLScalarType } from 'graphql'
import t from 'tap'
import { normalizeDateTime } from '../../../src/runtime/date-time.ts'
import { schema } from '../../../src/api/graphql/schema.ts'

t.test('a DateTime is any RFC 3339 with a zone, and becomes UTC with six digits', (t) => {
  for (const [given, normal] of [
    ['2024-11-22T10:30:00Z', '2024-11-22T10:30:00.000000Z'],
    ['2024-11-22t10:30:00.000123z', '2024-11-22T10:30:00.000123Z'],
    ['2024-11-22T10:30:00.1234569+02:00', '2024-11-22T08:30:00.123456Z'],
    ['2024-03-01T00:30:00-23:59', '2024-03-02T00:29:00.000000Z'],
    ['2024-03-01T00:30:00+01:00', '2024-02-29T23:30:00.000000Z'],
    ['2016-12-31T23:59:60Z', '2017-01-01T00:00:00.000000Z'],
    ['0001-01-01T00:00:00Z', '0001-01-01T00:00:00.000000Z'],
    ['0099-12-31T00:00:00Z', '0099-12-31T00:00:00.000000Z'],
    ['9999-12-31T23:59:59.999999Z', '9999-12-31T23:59:59.999999Z'],
  ] as const) {
    t.equal(normalizeDateTime(given), normal, given)
  }
  t.end()
})

t.test('a text that is no instant is no DateTime', (t) => {
  for (const given of [
    '',
    'now',
    '2024-11-22',
    '2024-11-22T10:30:00',
    '2024-11-22 10:30:00Z',
    '2024-11-22T10:30Z',
    '2024-11-22T10:30:00.Z',
    '2023-02-29T00:00:00Z',
    '2024-13-01T00:00:00Z',
    '2024-00-01T00:00:00Z',
    '2024-01-00T00:00:00Z',
    '2024-01-01T24:00:00Z',
    '2024-01-01T00:60:00Z',
    '2024-01-01T00:00:61Z',
    '2024-01-01T00:00:00+24:00',
    '2024-01-01T00:00:00+00:60',
    '0000-12-31T00:00:00Z',
    '0001-01-01T00:00:00+00:01',
    '9999-12-31T23:59:59-00:01',
    '10000-01-01T00:00:00Z',
    '2024-11-22T10:30:00Z\n',
  ]) {
    t.equal(normalizeDateTime(given), null, JSON.stringify(given))
  }
  t.end()
})

t.test('a BigInt is a 64-bit integer, as text or as a number that has lost no digit', (t) => {
  const bigInt = schema.getType('BigInt') as GraphQLScalarType<string>
  for (const [given, value] of [
    ['9223372036854775807', '9223372036854775807'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['007', '7'],
    [0, '0'],
    [9_007_199_254_740_991, '9007199254740991'],
  ] as const) {
    t.equal(bigInt.parseValue(given), value)
  }
  for (const given of [
    '9223372036854775808',
    '1.5',
    '1e3',
    '',
    ' 1',
    '0x1',
    2 ** 53,
    1.5,
    NaN,
    true,
    null,
    {},
  ]) {
    t.throws(() => bigInt.parseValue(given), { message: /^A BigInt is/ }, JSON.stringify(given))
  }
  t.equal(bigInt.parseLiteral({ kind: Kind.INT, value: '9223372036854775807' }), '9223372036854775807')
  t.throws(() => bigInt.parseLiteral({ kind: Kind.FLOAT, value: '1.0' }), { message: /^A BigInt is/ })
  t.end()
})
