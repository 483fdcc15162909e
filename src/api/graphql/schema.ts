import { builder } from './builder.ts'
// Each capability adds its types to the builder when it is imported.
import './count.ts'
import './enums.ts'
import './log-head.ts'
import './messages/audit.ts'
import './messages/events.ts'
import './messages/find.ts'
import './messages/messages.ts'
import './messages/payload.ts'
import './metrics/metrics.ts'
import './messages/replay.ts'
import './scalars.ts'
import './stream/message-events.ts'
import './stream/message.ts'
import './stream/metrics.ts'
import './stream/subscription.ts'
import './time-range.ts'
import './viewer.ts'

/** The whole schema, in the order in which it is written, which is the order to read it in; printed to schema/schema.graphql. */
export const schema = builder.toSchema({ sortSchema: false })
