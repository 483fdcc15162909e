import fc from 'fast-check'
import t from 'tap'
import { cleanText } from '../../../src/log/write/clean-text.ts'

t.test('what breaks a line, a terminal or PostgreSQL becomes a space', async (t) => {
  t.equal(cleanText('plain text, ä 漢 😀'), 'plain text, ä 漢 😀')
  t.equal(cleanText('a\0b'), 'a b')
  t.equal(cleanText('a\r\n\tb'), 'a b')
  t.equal(cleanText('\u001b[31mred\u0085\u007f'), '[31mred')
  t.equal(cleanText('abc\u202ecba\u2066x\u200f'), 'abc cba x')
  t.equal(cleanText('half \ud800 a pair'), 'half   a pair')
  t.equal(cleanText('\u0000'), '')
})

t.test('text is cut to 2 KiB of UTF-8 between characters', async (t) => {
  t.equal(cleanText('a'.repeat(2048)), 'a'.repeat(2048))
  t.equal(cleanText('a'.repeat(2049)), 'a'.repeat(2048))
  t.equal(cleanText('é'.repeat(2048)), 'é'.repeat(1024))
  t.equal(cleanText('漢'.repeat(2048)), '漢'.repeat(682))
  t.equal(cleanText('a' + '😀'.repeat(2048)), 'a' + '😀'.repeat(511))
  t.equal(cleanText('a'.repeat(2047) + '😀'), 'a'.repeat(2047))
})

t.test('any text comes out clean and short enough', async () => {
  const anyText = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 40 }),
    fc
      .array(fc.integer({ min: 0, max: 0xffff }), { maxLength: 40 })
      .map((units) => String.fromCharCode(...units)),
  )
  const long = fc.tuple(fc.nat(700), anyText, anyText).map(([times, a, b]) => a + b.repeat(times))
  fc.assert(
    fc.property(long, (text) => {
      const clean = cleanText(text)
      return Buffer.byteLength(clean) <= 2048 && !/[\p{Cc}\p{Cs}\p{Bidi_Control}]/u.test(clean)
    }),
  )
})
