import type { ReferenceSource } from '../message/reference.ts'
import { quote, type Settings } from './settings.ts'

const pointerPattern = /^(?:\/(?:[^/~]|~[01])*)+$/
const headerPattern = /^[A-Za-z0-9_-]+$/

/** REFERENCE: where an answer has what the processor calls the payment; null if nobody looks for it. */
export function readReferenceSource(settings: Settings): ReferenceSource | null {
  const text = settings.given('REFERENCE')
  if (text === null) return null
  const [, kind, place = ''] = /^(json|header):(.*)$/s.exec(text) ?? []
  if (kind === 'json' && pointerPattern.test(place)) return { kind, pointer: place }
  if (kind === 'header' && headerPattern.test(place)) return { kind, name: place.toLowerCase() }
  settings.fault(
    `REFERENCE is ${quote(text)}: it must be json: and a JSON pointer, like json:/id, or header: and a name, like header:x-payment-id.`,
  )
  return null
}
