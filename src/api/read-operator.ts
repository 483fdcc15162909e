import { isLine, reasonBytesMax } from '../message/is-line.ts'
import { anonymous } from './access.ts'
import { readBody } from './read-body.ts'
import { refusal, type Answer, type Call } from './route.ts'

const operatorBytesMax = 128
// Events of the service itself name a part of an instance so. Nobody may pass for one.
const servicePart = /\/(?:ingest|fresh|retry|guard|jobs|retention)$/

/** Who asks, and why; null where the body gives no reason. `fields` are all that the body has. */
export type Operator = { actor: string; reason: string | null; fields: Readonly<Record<string, unknown>> }

/** Reads who changes something by REST, and why, from the token and the body; or the answer that refuses the body. */
export async function readOperator({ request, viewer }: Call): Promise<Operator | { refused: Answer }> {
  const body = await readBody(request)
  if ('refused' in body) return body
  const { reason } = body.fields
  // A token names its holder, whatever the body says; without tokens the caller is believed.
  const holder = viewer === null || viewer === anonymous ? null : viewer.name
  const operator = holder ?? body.fields.operator
  if (!isAbsent(reason) && !isLine(reason, reasonBytesMax))
    return { refused: refuseField('reason', reasonBytesMax) }
  if (!isAbsent(operator) && !isLine(operator, operatorBytesMax))
    return { refused: refuseField('operator', operatorBytesMax) }
  if (typeof operator === 'string' && servicePart.test(operator))
    return {
      refused: refusal(400, 'operator is what a part of the service calls itself. Give another name.'),
    }
  return { actor: operator ?? 'rest', reason: reason ?? null, fields: body.fields }
}

function isAbsent(value: unknown): value is undefined | null {
  return value === undefined || value === null
}

function refuseField(name: string, bytesMax: number): Answer {
  return refusal(400, `${name} must be text of 1 to ${bytesMax} bytes without control characters.`)
}
