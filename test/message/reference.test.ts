import t from 'tap'
import { JsonBody } from '../../src/message/json-body.ts'
import { readReference } from '../../src/message/reference.ts'

function ofHeader(header: string | null) {
  return readReference({ kind: 'header', name: 'x-payment-id' }, { body: null, header })
}

function ofJson(body: string | null, pointer = '/id') {
  return readReference({ kind: 'json', pointer }, { body, header: null })
}

t.test('a string or an integer at the pointer is the reference, with every digit', (t) => {
  const cases: [body: string, pointer: string, text: string][] = [
    ['{"id":"pay_1"}', '/id', 'pay_1'],
    ['{"id":42}', '/id', '42'],
    ['{"id":-7}', '/id', '-7'],
    ['{"id":9007199254740993}', '/id', '9007199254740993'],
    ['{"note":"\\"id\\":1","id":1234567890123456789012345}', '/id', '1234567890123456789012345'],
    ['{"data":[{"a/b":{"~id":"x"}}]}', '/data/0/a~1b/~0id', 'x'],
    ['\n{ "id" : "first", "id" : "last" }', '/id', 'last'],
    ['{"id":"Zahlung ü"}', '/id', 'Zahlung ü'],
    ['\ufeff{"id":"marked"}', '/id', 'marked'],
    ['\ufeff{"id":9007199254740993}', '/id', '9007199254740993'],
  ]
  for (const [body, pointer, text] of cases) t.strictSame(ofJson(body, pointer), { text }, body)
  t.end()
})

t.test('an answer without a value at the pointer has no reference', (t) => {
  const bodies = ['', 'no json', '{"id":null}', '{}', '[]', '{"other":{"id":"x"}}', '{"id":"x"', '"id"']
  for (const body of bodies) t.equal(ofJson(body), null, body)
  t.equal(ofJson('{"ids":["a"]}', '/ids/length'), null)
  t.equal(ofJson('{"ids":["a"]}', '/ids/1'), null)
  t.equal(ofHeader(null), null)
  t.end()
})

t.test('what is no string and no integer is not kept', (t) => {
  for (const body of ['{"id":true}', '{"id":1.5}', '{"id":1e30}', '{"id":{}}', '{"id":["x"]}'])
    t.strictSame(ofJson(body), { fault: 'not_text' }, body)
  t.strictSame(ofJson(null), { fault: 'body_too_long' })
  t.end()
})

t.test('a header is the reference, without the space around it', (t) => {
  t.strictSame(ofHeader(' pay-1 '), { text: 'pay-1' })
  t.strictSame(ofHeader(Buffer.from('zahlung-ü').toString('latin1')), { text: 'zahlung-ü' })
  t.strictSame(ofHeader('\xfc'), { fault: 'not_utf8' })
  t.end()
})

t.test('a reference has 1 to 128 bytes', (t) => {
  t.strictSame(ofHeader('x'.repeat(128)), { text: 'x'.repeat(128) })
  t.strictSame(ofHeader('x'.repeat(129)), { fault: 'too_long' })
  t.strictSame(ofJson(JSON.stringify({ id: 'ü'.repeat(65) })), { fault: 'too_long' })
  for (const id of ['', '  ', '\u00a0']) t.strictSame(ofJson(JSON.stringify({ id })), { fault: 'empty' })
  t.end()
})

t.test('control characters, bidi controls and half surrogate pairs are not kept', (t) => {
  for (const id of [
    'a\u0000',
    'a\nb',
    '\u007f',
    'a\u0085',
    '\u202eb',
    'a\u2066',
    '\u061cb',
    'a\u2028b',
    '\ud800',
  ])
    t.strictSame(
      ofJson(JSON.stringify({ id })),
      { fault: 'control_character' },
      Buffer.from(id).toString('hex'),
    )
  t.end()
})

t.test(
  'a card number is not kept, wherever in the reference it stands and however its digits are grouped',
  (t) => {
    const numbers = [
      '4111111111111111',
      '4111 1111 1111 1111',
      '4111-1111-1111-1111',
      '4111 - 1111 – 1111\u00a01111',
      '378282246310005',
      'pay_4111111111111111',
      'card 4111 1111 1111 1111 2030',
      '2030-4111-1111-1111-1111',
      '4222222222222',
      '6304000000000000000',
      '４１１１１１１１１１１１１１１１',
    ]
    for (const id of numbers) t.strictSame(ofJson(JSON.stringify({ id })), { fault: 'card_number' }, id)
    t.strictSame(ofJson('{"id":4111111111111111}'), { fault: 'card_number' }, 'as a number')
    t.end()
  },
)

t.test('other long numbers are kept', (t) => {
  const others = [
    '4111111111111112',
    '411111111111',
    '41111111111111111111',
    '550e8400-e29b-41d4-a716-446655440000',
    'a4111b1111c1111d1111',
    '20261129-0001',
  ]
  for (const id of others) t.strictSame(ofJson(JSON.stringify({ id })), { text: id }, id)
  t.end()
})

t.test('a JSON body says what is at a pointer, in words', (t) => {
  const body = new JsonBody('{"a":true,"b":1.50,"c":[1],"d":100000000000000000001}')
  t.strictSame(body.at('/a'), { kind: 'boolean', text: 'true' })
  t.strictSame(body.at('/b'), { kind: 'number', text: '1.5' })
  t.strictSame(body.at('/c'), { kind: 'structure' })
  t.strictSame(body.at('/c/0'), { kind: 'number', text: '1' })
  t.strictSame(body.at('/d'), { kind: 'number', text: '100000000000000000001' })
  t.end()
})

t.test('long strings and deep documents do not stop it', (t) => {
  const long = `{"x":"${'\\"1'.repeat(16_000)}","id":12345678901234567890}`
  t.strictSame(ofJson(long), { text: '12345678901234567890' })
  const deep = `{"x":${'['.repeat(20_000)}${']'.repeat(20_000)},"id":12345678901234567890}`
  t.strictSame(ofJson(deep), { text: '12345678901234567890' })
  t.end()
})
