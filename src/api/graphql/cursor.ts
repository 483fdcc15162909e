import { createHash } from 'node:crypto'
import type { LogCursor } from '../../log/read/log-cursor.ts'

// The first field of a cursor says what it is and in which form, so that a later release can tell its own from ours.
const logForm = 'l2'
// Of releases that archived nothing.
const logFormBefore = 'l1'
const pageForm = 'p1'
const decisionForm = 'd1'
const numberForm = 'j1'
const lengthMax = 512

const bigintMax = 9_223_372_036_854_775_807n
const intMax = 2_147_483_647n

/** Opaque to clients: base64url text. */
export function encodeLogCursor({ epoch, position, messageId, version, archives }: LogCursor): string {
  return encode([logForm, epoch, position, messageId, version, archives].join(':'))
}

/** Null for whatever `encodeLogCursor` has not made, here or in an older release. */
export function decodeLogCursor(text: string): LogCursor | null {
  const decoded = decode(text)
  // Only its one form in base64url.
  if (encode(decoded) !== text) return null
  const [form, epoch = '', position = '', messageId = '', version = '', ...more] = decoded.split(':')
  const archives = readArchives(form, more)
  if (archives === null || !isInteger(archives, intMax)) return null
  if (!isInteger(epoch, intMax) || !isInteger(version, intMax)) return null
  if (!isInteger(position, bigintMax) || !isInteger(messageId, bigintMax)) return null
  return { epoch: Number(epoch), position, messageId, version: Number(version), archives: Number(archives) }
}

/** Null if there is no such form, or it has another number of fields. */
function readArchives(form: string | undefined, [archives, ...more]: string[]): string | null {
  if (more.length > 0) return null
  if (form === logFormBefore) return archives === undefined ? '0' : null
  return form === logForm ? (archives ?? null) : null
}

/**
 * A cursor of a list with an order and a filter: the key of the place in that order, and the message. It is bound to both.
 *
 * @param binding the order and the filter, the same text whenever they mean the same
 */
export function encodePageCursor(binding: string, key: string, messageId: string): string {
  return encode([pageForm, hash(binding), messageId, key].join(':'))
}

/** Null for whatever `encodePageCursor` has not made for this binding. */
export function decodePageCursor(
  text: string,
  binding: string,
  isKey: (key: string) => boolean,
): { key: string; messageId: string } | null {
  const [form, bound, messageId = '', ...rest] = decode(text).split(':')
  const key = rest.join(':')
  if (form !== pageForm || bound !== hash(binding) || !isInteger(messageId, bigintMax) || !isKey(key))
    return null
  return encodePageCursor(binding, key, messageId) === text ? { key, messageId } : null
}

/** A cursor of the decisions about one destination. */
export function encodeDecisionCursor(destination: string, decision: number): string {
  return encode([decisionForm, hash(destination), decision].join(':'))
}

/** The number of the decision; null for whatever `encodeDecisionCursor` has not made for this destination. */
export function decodeDecisionCursor(text: string, destination: string): number | null {
  const [, , decision = ''] = decode(text).split(':')
  if (!isInteger(decision, intMax) || encodeDecisionCursor(destination, Number(decision)) !== text)
    return null
  return Number(decision)
}

/** A cursor of a list in the order of numbers, as of jobs, of the events of one, or of accesses; `list` tells lists apart. */
export function encodeNumberCursor(list: string, place: string | number): string {
  return encode([numberForm, hash(list), place].join(':'))
}

/** The number of the place, in decimal digits; null for whatever `encodeNumberCursor` has not made for this list. */
export function decodeNumberCursor(text: string, list: string, max = bigintMax): string | null {
  const [, , place = ''] = decode(text).split(':')
  return isInteger(place, max) && encodeNumberCursor(list, place) === text ? place : null
}

/** A bigint that is not negative, in its one decimal form. */
export function isBigint(text: string): boolean {
  return isInteger(text, bigintMax)
}

function isInteger(text: string, max: bigint): boolean {
  return /^(0|[1-9]\d{0,18})$/.test(text) && BigInt(text) <= max
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64url')
}

/** Never fails: what is no base64url decodes to text that no form begins with. */
function decode(text: string): string {
  return text.length > lengthMax ? '' : Buffer.from(text, 'base64url').toString('utf8')
}

function hash(text: string): string {
  return createHash('sha256').update(text).digest('base64url').slice(0, 12)
}
