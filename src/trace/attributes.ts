import type { Attributes } from '@opentelemetry/api'
import {
  ATTR_ERROR_TYPE,
  ATTR_HTTP_REQUEST_METHOD,
  ATTR_HTTP_REQUEST_RESEND_COUNT,
  ATTR_HTTP_RESPONSE_STATUS_CODE,
  ATTR_SERVER_ADDRESS,
  ATTR_SERVER_PORT,
  ATTR_URL_FULL,
} from '@opentelemetry/semantic-conventions'
import type { Claim } from '../log/write/to-claim.ts'
import type { DecodedRecord, RecordResult, Slice } from '../log/write/ingest.ts'
import type { Inquiry } from '../log/write/inquiry.ts'
import type { InquiryResult } from '../message/inquiry.ts'
import type { LaneName } from '../message/message.ts'
import type { Outcome } from '../message/outcome.ts'
import { withoutSecrets } from '../runtime/without-secrets.ts'

// No attribute holds anything of a record's value, key or headers but the transaction id, which the log lines have too.

/** Of the record's span. Names of the messaging conventions, which are not stable yet, are written out, as OpenTelemetry advises. */
export function recordAttributes(
  { topic, partition }: Slice,
  { offset, payloadBytes, transactionId }: DecodedRecord,
  result: RecordResult,
  groupId: string,
): Attributes {
  return {
    'messaging.system.name': 'kafka',
    // The name until conventions 1.4x, by which programs that show traces know a queue.
    'messaging.system': 'kafka',
    'messaging.operation.name': 'process',
    'messaging.operation.type': 'process',
    'messaging.destination.name': topic,
    'messaging.destination.partition.id': String(partition),
    'messaging.consumer.group.name': groupId,
    'messaging.kafka.offset': Number(offset),
    'messaging.message.body.size': payloadBytes,
    'tqp.transaction_id': transactionId,
    'tqp.result': result,
    ...(result === 'rejected' || result === 'conflict' ? { [ATTR_ERROR_TYPE]: result } : {}),
  }
}

/** Of all requests to one address, without what may be secret in it: credentials and the query. */
export function addressAttributes(url: URL): Attributes {
  return {
    [ATTR_SERVER_ADDRESS]: url.hostname,
    [ATTR_SERVER_PORT]: Number(url.port || (url.protocol === 'https:' ? '443' : '80')),
    [ATTR_URL_FULL]: withoutSecrets(url),
  }
}

export function attemptAttributes(claim: Claim, lane: LaneName): Attributes {
  return {
    [ATTR_HTTP_REQUEST_METHOD]: 'POST',
    ...(claim.attempt > 1 ? { [ATTR_HTTP_REQUEST_RESEND_COUNT]: claim.attempt - 1 } : {}),
    ...messageAttributes(claim, lane),
    'tqp.retries': claim.retries,
    ...(claim.isProbe === true ? { 'tqp.probe': true } : {}),
  }
}

export function inquiryAttributes(inquiry: Inquiry, lane: LaneName): Attributes {
  return { [ATTR_HTTP_REQUEST_METHOD]: 'GET', ...messageAttributes(inquiry, lane) }
}

function messageAttributes(
  { messageId, transactionId, attempt, replayedBy }: Claim | Inquiry,
  lane: LaneName,
): Attributes {
  return {
    'tqp.transaction_id': transactionId,
    'tqp.message_id': messageId,
    'tqp.attempt': attempt,
    'tqp.lane': lane,
    ...(replayedBy == null ? {} : { 'tqp.replayed_by': replayedBy }),
  }
}

export function outcomeAttributes(outcome: Outcome): Attributes {
  const statusCode = 'statusCode' in outcome ? outcome.statusCode : null
  return {
    'tqp.outcome': outcome.kind,
    ...answerAttributes(statusCode, outcome.kind === 'accepted' ? null : outcome.kind),
  }
}

export function inquiryResultAttributes({ answer, statusCode }: InquiryResult): Attributes {
  return {
    'tqp.inquiry': answer,
    ...answerAttributes(statusCode, answer === 'no_answer' ? answer : null),
  }
}

/** The conventions' `error.type` is the status where there is one. */
function answerAttributes(statusCode: number | null, fault: string | null): Attributes {
  return {
    ...(statusCode === null ? {} : { [ATTR_HTTP_RESPONSE_STATUS_CODE]: statusCode }),
    ...(fault === null
      ? {}
      : { [ATTR_ERROR_TYPE]: statusCode === null || statusCode < 400 ? fault : String(statusCode) }),
  }
}
