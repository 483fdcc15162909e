import { randomInt } from 'node:crypto'
import type { Answered, Call } from '../call.ts'
import { errorCode } from '../error-code.ts'

/**
 * Ids are drawn at random from so many that two producers never share one, even across restarts. So no
 * counter is kept on disk.
 */
const producerIds = 2 ** 48 - 1

/** InitProducerId, versions 0–1, for idempotent producers; a transactional producer is refused. */
export function initProducerId({ request, answer }: Call): Answered {
  const transactional = request.nullableString() !== null
  answer.int32(0).int16(transactional ? errorCode.transactionalIdAuthorizationFailed : errorCode.none)
  answer.int64(transactional ? -1 : randomInt(producerIds)).int16(transactional ? -1 : 0)
  return 'answered'
}
