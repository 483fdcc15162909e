import fc from 'fast-check'
import t from 'tap'
import {
  booleanArray,
  byteaArray,
  int4Array,
  int8Array,
  textArray,
} from '../../../src/log/write/binary-array.ts'
import { database } from '../../support/database.ts'

const { pool } = await database(t)

/** What PostgreSQL makes of the array, as text of each element, so that no parser of ours stands between. */
async function elements(type: string, array: Buffer): Promise<(string | null)[]> {
  const { rows } = await pool.query<{ read: (string | null)[]; length: number }>(
    `select array(select element::text from unnest($1::${type}[]) with ordinality as u(element, place) order by place) as read,
       cardinality($1::${type}[]) as length`,
    [array],
  )
  t.equal(rows[0]!.length, rows[0]!.read.length)
  return rows[0]!.read
}

const some = <T>(value: fc.Arbitrary<T>): fc.Arbitrary<(T | null)[]> =>
  fc.array(fc.option(value), { maxLength: 40 })
const asText = (values: readonly (bigint | number | null)[]): (string | null)[] =>
  values.map((value) => (value === null ? null : String(value)))
const hex = (value: Buffer | null): string | null => (value === null ? null : `\\x${value.toString('hex')}`)

t.test('an empty array of each type is empty', async (t) => {
  t.strictSame(await elements('int8', int8Array([])), [])
  t.strictSame(await elements('int4', int4Array([])), [])
  t.strictSame(await elements('bool', booleanArray([])), [])
  t.strictSame(await elements('bytea', byteaArray([])), [])
  t.strictSame(await elements('text', textArray([])), [])
})

t.test('the ends of each range come through', async (t) => {
  const longs = [-(2n ** 63n), 2n ** 63n - 1n, 0n, -1n, null, 9_007_199_254_740_993n]
  t.strictSame(await elements('int8', int8Array(longs)), asText(longs))
  const ints = [-(2 ** 31), 2 ** 31 - 1, 0, -1, null]
  t.strictSame(await elements('int4', int4Array(ints)), asText(ints))
  t.strictSame(await elements('bool', booleanArray([true, false])), ['true', 'false'])
  t.strictSame(await elements('text', textArray(['', null, '{"a",NULL}', '\\x00', '漢😀'])), [
    '',
    null,
    '{"a",NULL}',
    '\\x00',
    '漢😀',
  ])
  t.strictSame(await elements('bytea', byteaArray([Buffer.alloc(0), null, Buffer.from([0, 255])])), [
    '\\x',
    null,
    '\\x00ff',
  ])
})

t.test('any values come through', async () => {
  const anyText = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''))
  await fc.assert(
    fc.asyncProperty(
      some(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n })),
      some(fc.integer()),
      some(anyText),
      some(fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes))),
      async (longs, ints, texts, bytes) => {
        t.strictSame(await elements('int8', int8Array(longs)), asText(longs))
        t.strictSame(await elements('int4', int4Array(ints)), asText(ints))
        t.strictSame(await elements('text', textArray(texts)), texts)
        t.strictSame(await elements('bytea', byteaArray(bytes)), bytes.map(hex))
      },
    ),
    { numRuns: 30 },
  )
})

t.test('a value of 64 MiB comes through beside a small one', async (t) => {
  const big = Buffer.alloc(64 * 1024 * 1024, 'ab')
  const { rows } = await pool.query<{ bytes: number; ends: Buffer }>(
    'select length(v[1]) as bytes, substring(v[1] from length(v[1])) || v[2] as ends from (select $1::bytea[] as v) input',
    [byteaArray([big, Buffer.from('!')])],
  )
  t.strictSame(rows, [{ bytes: big.length, ends: Buffer.from('b!') }])
})
