export type Asked = { name: string; query: string }

const fields = 'nodes { transactionId status createdAt errorMessage } pageInfo { endCursor hasNextPage }'

function messages(name: string, args: string, more = ''): Asked {
  return { name: `messages, ${name}`, query: `{ messages(${args}) { ${fields} ${more} } }` }
}

function metrics(name: string, fields: string): Asked {
  return { name, query: `{ metrics { ${fields} } }` }
}

const counts = 'at received attempts succeeded failed deadLettered'
const percentiles = 'count p50Ms p90Ms p99Ms maxMs'
const latency = `endToEnd { ${percentiles} } attempt { ${percentiles} } errorBound`

/**
 * What is asked of the generated messages.
 *
 * @param id a message's transaction id
 * @param since 30 days back, and a day back, in RFC 3339
 */
export function listQueries(id: string, since: { month: string; day: string }): Asked[] {
  return [
    {
      name: 'message with its history',
      query: `{ message(transactionId: "${id}") { status history { type } payload { text } } }`,
    },
    messages('newest 20', 'first: 20'),
    messages('newest 20 with totalCount', 'first: 20', 'totalCount { value exact }'),
    messages('newest 200', 'first: 200'),
    messages('oldest 20', 'first: 20, orderBy: CREATED_ASC'),
    messages('last changed 20', 'first: 20, orderBy: UPDATED_DESC'),
    messages('next due 20', 'first: 20, orderBy: DUE_ASC'),
    messages('dead letters', 'filter: { status: [DEAD_LETTER] }, first: 20', 'totalCount { value exact }'),
    messages('failed, next due', 'filter: { status: [FAILED] }, first: 20, orderBy: DUE_ASC'),
    messages(
      'id prefix',
      `filter: { transactionIdPrefix: "${id.slice(0, 6)}" }, first: 20`,
      'totalCount { value exact }',
    ),
    messages('of one partition', 'filter: { topic: "bench.generated", partition: 3 }, first: 20'),
    messages(
      'error text in dead letters',
      'filter: { status: [DEAD_LETTER], errorContains: "closed" }, first: 20',
    ),
    messages(
      'error text that is nowhere',
      'filter: { status: [DEAD_LETTER], errorContains: "nowhere" }, first: 20',
    ),
    messages('failure pattern', 'filter: { status: [DEAD_LETTER], failurePattern: "HTTP 503" }, first: 20'),
    messages('unknown outcome', 'filter: { outcomeUnknown: true }, first: 20', 'totalCount { value exact }'),
    messages('retried 5 times', 'filter: { retryCountMin: 5 }, first: 20'),
    messages(
      'created in one day',
      `filter: { createdAt: { from: "${since.day}" } }, first: 20`,
      'totalCount { value exact }',
    ),
    { name: 'events, newest 100', query: '{ events(last: 100) { nodes { type recordedAt } } }' },
    { name: 'events, first 500', query: '{ events(first: 500) { nodes { type recordedAt } } }' },
    metrics('counts by status', 'counts { pending processing success failed deadLetter total }'),
    metrics('outcomeUnknown', 'outcomeUnknown { open deadLetter success }'),
    metrics('throughput, an hour by minute', `throughput { ${counts} }`),
    metrics('throughput, a day by minute', `throughput(lastSeconds: 86400) { ${counts} }`),
    metrics(
      'throughput, 30 days by hour',
      `throughput(range: { from: "${since.month}" }, bucketSeconds: 3600) { ${counts} }`,
    ),
    metrics('latency, an hour', `latency { ${latency} }`),
    metrics('latency, a day', `latency(lastSeconds: 86400) { ${latency} }`),
    metrics('latency, 30 days', `latency(range: { from: "${since.month}" }) { ${latency} }`),
    metrics('retries', 'retries { retryCount messages }'),
    metrics('topFailures, an hour', 'topFailures { pattern count lastAt examples { transactionId } }'),
    metrics(
      'topFailures, 30 days',
      `topFailures(range: { from: "${since.month}" }) { pattern count examples { transactionId } }`,
    ),
    metrics('oldest pending and due', 'oldestPendingAt oldestDueAt'),
    metrics('inFlight with due', 'inFlight { lane inFlight limit due { value exact } }'),
    metrics('consumer', 'consumer { partition nextOffset received conserved }'),
    metrics(
      'a whole dashboard',
      `counts { total } outcomeUnknown { open } throughput { ${counts} } latency { ${latency} } retries { retryCount messages }
       topFailures { pattern count } oldestPendingAt oldestDueAt inFlight { lane inFlight due { value } }
       consumer { partition conserved } wakeups { notify } watermark { ageSeconds }`,
    ),
  ]
}
