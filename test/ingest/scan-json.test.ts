import fc from 'fast-check'
import t from 'tap'
import { scanJson } from '../../src/ingest/scan-json.ts'

const key = Buffer.from('transaction_id')
const scan = (text: string) => scanJson(Buffer.from(text), key)

t.test('what JSON.parse accepts is JSON to the scan, and nothing else', async (t) => {
  const texts = [
    '',
    ' ',
    '{',
    '}',
    '[',
    ']',
    '[}',
    '{]',
    '{}',
    '[]',
    '{}{}',
    '[] []',
    '[[]]',
    '[[]',
    '{"a"}',
    '{"a":}',
    '{"a":1,}',
    '{,}',
    '[1,]',
    '[,1]',
    '[1 2]',
    '{"a":1 "b":2}',
    '{a:1}',
    "{'a':1}",
    '{"a":1}}',
    '0',
    '-0',
    '-',
    '00',
    '01',
    '-01',
    '1.',
    '.5',
    '1.5',
    '1e5',
    '1e',
    '1e+',
    '1E-7',
    '1e400',
    '-1e400',
    '+1',
    '0x1',
    '1_0',
    'NaN',
    'Infinity',
    'true',
    'tru',
    'trueish',
    'null',
    'nul',
    'false',
    'undefined',
    '""',
    '"',
    '"a',
    '"\\"',
    '"\\\\"',
    '"\\u00e9"',
    '"\\u00e"',
    '"\\u00eg"',
    '"\\x41"',
    '"\\ud800"',
    '"\\udc00\\ud800"',
    '"\\u0000"',
    '"\\\'"',
    '"\\/"',
    '"\\b\\f\\n\\r\\t"',
    '"\u0000"',
    '"\n"',
    '"\t"',
    '"\u001f"',
    '"\u007f"',
    '"\u2028\u2029"',
    '\u00a01',
    '\ufeff1',
    '\v1',
    '\f1',
    ' \t\n\r1 \t\n\r',
    '1//x',
    '/**/1',
    '{"__proto__":{"__proto__":1}}',
    '{"a":1,"a":2}',
    '"\u{1f600}"',
    '1\u0000',
    '\u00001',
  ]
  for (const text of texts) t.equal(scan(text) !== null, isJson(text), printable(text))
})

t.test('the scan agrees with JSON.parse on JSON that was damaged anywhere', async () => {
  fc.assert(
    fc.property(
      fc.json({ maxDepth: 4 }),
      fc.nat(),
      fc.nat(2),
      fc.constantFrom(...Array.from('{}[],:"\\u0e1.-+tn \u0000é')),
      (json, at, cut, put) => {
        const place = at % (json.length + 1)
        const damaged = json.slice(0, place) + put + json.slice(place + cut)
        return (scan(damaged) !== null) === isJson(damaged)
      },
    ),
    { numRuns: 5_000 },
  )
})

t.test('the scan agrees with JSON.parse on random words of its grammar', async () => {
  const words = ['{', '}', '[', ']', ',', ':', '"a"', '"', '\\', '0', '1', '-', '.', 'e', 'true', 'null', ' ']
  fc.assert(
    fc.property(fc.array(fc.constantFrom(...words), { maxLength: 12 }), (chosen) => {
      const text = chosen.join('')
      return (scan(text) !== null) === isJson(text)
    }),
    { numRuns: 20_000 },
  )
})

t.test(
  'the key is counted at the top level only, however its characters and its neighbours are spelt',
  async () => {
    const name = fc.constantFrom(
      'transaction_id',
      'transaction_id2',
      'Transaction_id',
      'transaction_i',
      'id',
      '',
    )
    const value = fc.oneof(
      fc.json({ maxDepth: 2 }),
      fc.constant('{"transaction_id":"deeper"}'),
      fc.constant('"transaction_id"'),
    )
    const member = fc.record({
      name,
      value,
      escapes: fc.array(fc.nat(3), { maxLength: 14 }),
      space: fc.constantFrom('', ' ', '\n\t'),
    })
    fc.assert(
      fc.property(fc.array(member, { maxLength: 6 }), (members) => {
        const text = `{${members.map((each) => `${each.space}"${spell(each.name, each.escapes)}"${each.space}:${each.value}`).join(',')}}`
        const wanted = members.filter((each) => each.name === 'transaction_id')
        const shape = scan(text)!
        const last = wanted.at(-1)?.value
        const isString = last?.startsWith('"') ?? false
        const found = shape.string && Buffer.from(text).toString('utf8', shape.string.start, shape.string.end)
        return shape.isObject && shape.occurrences === wanted.length && found === (isString ? last : null)
      }),
      { numRuns: 5_000 },
    )
  },
)

t.test('depth is the number of containers around the innermost value', async (t) => {
  const depths: [string, number][] = [
    ['1', 0],
    ['[]', 1],
    ['{}', 1],
    ['[[],[[]]]', 3],
    ['{"a":{"b":[1]}}', 3],
    ['"[[[["', 0],
    ['[1,[2],3]', 2],
  ]
  for (const [text, depth] of depths) t.equal(scan(text)?.depth, depth, text)
  for (const depth of [63, 64, 65, 100_000])
    t.equal(scan('['.repeat(depth) + ']'.repeat(depth))?.depth, depth)
  t.equal(scan('['.repeat(100_000)), null)
  t.equal(scan('{"a":'.repeat(100_000) + '1' + '}'.repeat(100_000))?.depth, 100_000)
})

t.test('no bytes make the scan throw', async () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 64 }), (bytes) => {
      scanJson(Buffer.from(bytes), key)
    }),
  )
})

/** Control characters in a label break the test's own protocol. */
function printable(text: string): string {
  return JSON.stringify(text).replace(/[^ -~]/g, '?')
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}

/** The name with some characters as \\uXXXX, in either case of hexadecimal. */
function spell(name: string, escapes: number[]): string {
  return Array.from(name)
    .map((character, at) => {
      const hex = character.charCodeAt(0).toString(16).padStart(4, '0')
      if (escapes[at] === 1) return `\\u${hex}`
      if (escapes[at] === 2) return `\\u${hex.toUpperCase()}`
      return character
    })
    .join('')
}
