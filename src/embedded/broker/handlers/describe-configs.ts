import type { Answered, Call } from '../call.ts'
import { errorCode } from '../error-code.ts'
import { topicSettings } from '../topic-settings.ts'
import { nodeId } from './metadata.ts'

const topicResource = 2
const brokerResource = 4
/** DEFAULT_CONFIG: the value was not set by anybody. */
const bySource = 5
/** STRING; tools show the value unchanged. */
const stringType = 2

/**
 * DescribeConfigs, versions 1–3: the settings of topics. The broker itself has no settings that Kafka knows.
 */
export function describeConfigs({ request, answer, version, broker }: Call): Answered {
  const resources = request.array(() => ({
    type: request.int8(),
    name: request.string(),
    names: request.nullableArray(() => request.string()),
  }))

  answer.int32(0).array(resources, ({ type, name, names }) => {
    const isTopic = type === topicResource && broker.topics.partitions(name) !== undefined
    const isKnown = isTopic || (type === brokerResource && ['', String(nodeId)].includes(name))
    const settings = isTopic ? topicSettings : []
    answer.int16(
      isKnown
        ? errorCode.none
        : type === topicResource
          ? errorCode.unknownTopicOrPartition
          : errorCode.invalidRequest,
    )
    answer
      .string(isKnown || type === topicResource ? null : 'The development broker describes topics only.')
      .int8(type)
      .string(name)
    const wanted = settings.filter((each) => names === null || names.includes(each.name))
    answer.array(wanted, (each) => {
      answer.string(each.name).string(each.value)
      answer.boolean(true).int8(bySource).boolean(false)
      answer.array([], () => undefined)
      if (version >= 3) answer.int8(stringType).string(null)
    })
  })
  return 'answered'
}
