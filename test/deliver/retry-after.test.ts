import t from 'tap'
import { HeaderValues } from '../../src/deliver/header-values.ts'
import { retryAfter } from '../../src/deliver/retry-after.ts'

const now = Date.UTC(2030, 0, 1, 12, 0, 0)
const longest = 2 ** 31 - 1

function read(...pairs: [string, string][]): number | null {
  const headers = new HeaderValues()
  for (const [name, value] of pairs) {
    headers.addToName(Buffer.from(name, 'latin1'), 0, name.length)
    headers.addToValue(Buffer.from(value, 'latin1'), 0, value.length)
  }
  return retryAfter(headers, now)
}

t.test('seconds become milliseconds, cut to what a timer can hold', async (t) => {
  t.equal(read(['Retry-After', '120']), 120_000)
  t.equal(read(['RETRY-AFTER', '0']), 0)
  t.equal(read(['retry-after', '99999999999']), longest)
  t.equal(read(['retry-after', '9'.repeat(5_000)]), longest)
})

t.test("a date counts from the answer's own Date, else from our clock", async (t) => {
  t.equal(read(['Retry-After', 'Tue, 01 Jan 2030 12:00:30 GMT']), 30_000)
  t.equal(
    read(['Date', 'Thu, 01 Jan 1970 00:00:00 GMT'], ['Retry-After', 'Thu, 01 Jan 1970 00:00:07 GMT']),
    7_000,
    'the clock of the processor is decades behind',
  )
  t.equal(read(['Date', 'yesterday'], ['Retry-After', 'Tue, 01 Jan 2030 12:00:30 GMT']), 30_000)
})

t.test('all three forms of a date in RFC 9110 are read as UTC', async (t) => {
  t.equal(read(['Retry-After', 'Tuesday, 01-Jan-30 12:00:30 GMT']), 30_000)
  t.equal(read(['Retry-After', 'Tue Jan  1 12:00:30 2030']), 30_000)
})

t.test('a date in the past asks for no delay, and one far ahead is cut', async (t) => {
  t.equal(read(['Retry-After', 'Sun, 06 Nov 1994 08:49:37 GMT']), 0)
  t.equal(read(['Retry-After', 'Fri, 31 Dec 9999 23:59:59 GMT']), longest)
})

t.test('anything else asks for nothing', async (t) => {
  const garbage = [
    '',
    '-5',
    '+5',
    '1.5',
    '1e3',
    '0x10',
    '5 s',
    '120, 5',
    'soon',
    'NaN',
    '2030-01-01',
    '٣',
    '\u001b[31m5',
  ]
  for (const value of garbage) t.equal(read(['Retry-After', value]), null, JSON.stringify(value))
  t.equal(read(['Retry-After', 'Tue, 99 Foo 2030 12:00:30 GMT']), null, 'the form of a date, but no date')
  t.equal(read(['X-Retry-After', '5']), null)
  t.equal(read(), null)
})
