export type Example = {
  readonly query: string
  readonly variables?: Readonly<Record<string, unknown>>
}

/** What the playground's tabs hold: one operation for each thing that the API can do. A tab is named by its operation. */
export const examples: readonly Example[] = [
  {
    query: `# Is anything lost, stuck or in doubt?
query Overview {
  viewer { name role }
  metrics {
    at
    counts {
      pending processing success
      failed deadLetter total
    }
    outcomeUnknown { open deadLetter success }
    oldestPendingAt
    oldestDueAt
    inFlight { lane inFlight limit due { value exact } }
    consumer {
      topic partition nextOffset highOffset lag stopped
      received duplicates conflicts rejected holes
      conserved
    }
    wakeups {
      notify timer slot sweep missed
      listenerUp listenerAgeSeconds
    }
    watermark { at ageSeconds heldByPid }
  }
}
`,
  },
  {
    query: `# What came and went, how long it took, and what
# failed most, in the last hour.
query LastHour($lastSeconds: Int! = 3600) {
  metrics {
    throughput(
      lastSeconds: $lastSeconds
      bucketSeconds: 300
    ) {
      at received attempts succeeded failed deadLettered
      refused unavailable notSent unknown abandoned
      replayed
    }
    latency(lastSeconds: $lastSeconds) {
      endToEnd { count p50Ms p90Ms p99Ms maxMs }
      attempt { count p50Ms p90Ms p99Ms maxMs }
      errorBound
    }
    retries { retryCount messages }
    topFailures(lastSeconds: $lastSeconds, first: 5) {
      pattern count lastAt
      examples { transactionId status errorMessage }
    }
  }
}
`,
  },
  {
    query: `# Dead letters that an operator may replay, the latest
# first. Conditions of a filter hold together.
query DeadLetters($after: String) {
  messages(
    filter: {
      status: [DEAD_LETTER]
      deadLetterCause: [REFUSED, RETRIES_EXHAUSTED]
    }
    orderBy: UPDATED_DESC
    first: 20
    after: $after
  ) {
    totalCount { value exact }
    nodes {
      transactionId retryCount attempts
      deadLetterCause deadLetteredAt
      errorMessage failurePattern
      lastOutcome lastStatusCode outcomeUnknown
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
  {
    query: `# Attempts that ended with no answer: these may have
# been carried out. Look here first when accounts differ.
query InDoubt {
  messages(filter: { outcomeUnknown: true }, first: 20) {
    totalCount { value exact }
    nodes {
      transactionId status attempts lastOutcome
      errorMessage idempotencyKey updatedAt
    }
  }
}
`,
  },
  {
    query: `# All about one transaction, from its first event to
# its last: put its id into the variables below.
query Audit($transactionId: ID!) {
  message(transactionId: $transactionId) {
    transactionId status retryCount attempts version
    errorMessage nextDueAt createdAt updatedAt
    replayable outcomeUnknown idempotencyKey
    history {
      version type recordedAt actor lane
      attempt outcome statusCode durationMs
      reason nextDueAt status retryCount
      source { topic partition offset }
      conflict { transactionId }
    }
    payload { state bytes sha256 text json }
    source {
      topic partition offset key timestamp
      headerCount headers { name value }
    }
    conflictCount
    conflicts { transactionId createdAt }
    conflictsWith { transactionId }
  }
}
`,
    variables: { transactionId: 'tx-1' },
  },
  {
    query: `# What was so at that time, folded from the log.
query AsOf($transactionId: ID!, $time: DateTime!) {
  message(transactionId: $transactionId) {
    status
    asOf(time: $time) {
      at status version retryCount attempts
      errorMessage nextDueAt
    }
  }
}
`,
    variables: { transactionId: 'tx-1', time: '2999-01-01T00:00:00Z' },
  },
  {
    query: `# The whole log in the order of its commits, page by
# page: give endCursor as after.
query Log($after: String) {
  events(first: 20, after: $after) {
    nodes {
      transactionId version type recordedAt actor
      outcome statusCode reason status
    }
    pageInfo { hasNextPage endCursor }
  }
  head { cursor at ageSeconds heldByPid }
}
`,
  },
  {
    query: `# What became of one Kafka record: one event, or null
# if it was never consumed.
query Record(
  $topic: String!
  $partition: Int!
  $offset: BigInt!
) {
  record(
    topic: $topic
    partition: $partition
    offset: $offset
  ) {
    type recordedAt transactionId reason
    message { status errorMessage }
  }
}
`,
    variables: { topic: 'transactions.incoming', partition: 0, offset: '0' },
  },
  {
    query: `# Opens a dead letter again; the log says who asked, and
# why. With an idempotencyKey it can be sent again safely.
mutation Replay(
  $transactionId: ID!
  $reason: String!
  $idempotencyKey: String
) {
  replay(
    transactionId: $transactionId
    reason: $reason
    idempotencyKey: $idempotencyKey
  ) {
    __typename
    ... on Replayed {
      transactionId version repeated
      message { status }
    }
    ... on ReplayRefusal { transactionId text }
    ... on NotReplayable { status deadLetterCause }
  }
}
`,
    variables: { transactionId: 'tx-1', reason: 'the processor is mended' },
  },
  {
    query: `# Up to 1,000 at once, with a result each, in order.
mutation ReplayMany(
  $transactionIds: [ID!]!
  $reason: String!
) {
  replayMany(
    transactionIds: $transactionIds
    reason: $reason
  ) {
    __typename
    ... on Replayed { transactionId version }
    ... on ReplayRefusal { transactionId text }
  }
}
`,
    variables: { transactionIds: ['tx-1', 'tx-2'], reason: 'the processor is mended' },
  },
  {
    query: `# Every event from now on, once, in the order of commits.
# After a break go on after the last cursor: nothing is
# missed, nothing comes twice. A client's own retry would
# resend the first one, so turn that off (graphql-ws,
# graphql-sse: retryAttempts: 0) and subscribe again:
#
#   let after = null
#   while (true) {
#     const variables = { after }
#     const stream = client.iterate({ query, variables })
#     try {
#       for await (const { data } of stream)
#         after = data.messageEvents.cursor
#     } catch { await moment() }
#   }
subscription LiveEvents($after: String) {
  messageEvents(after: $after, positionsEverySeconds: 10) {
    cursor
    caughtUp
    node {
      transactionId version type recordedAt actor
      attempt outcome statusCode durationMs
      reason status
    }
  }
}
`,
  },
  {
    query: `# One transaction: its state now, and at each change.
subscription LiveMessage($transactionId: ID!) {
  message(transactionId: $transactionId) {
    transactionId version status retryCount attempts
    errorMessage nextDueAt updatedAt
  }
}
`,
    variables: { transactionId: 'tx-1' },
  },
  {
    query: `# The counts, every second.
subscription LiveMetrics {
  metrics(everyMs: 1000) {
    at
    counts {
      pending processing success
      failed deadLetter total
    }
    inFlight { lane inFlight limit }
    oldestDueAt
  }
}
`,
  },
]
