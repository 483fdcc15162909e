export type Example = {
  readonly query: string
  /** Blanks, where something is to begin with. */
  readonly variables?: Readonly<Record<string, unknown>>
  /** Where the page finds what a variable begins with, in what it makes of `beginQuery`'s answer. */
  readonly begin?: Readonly<Record<string, string>>
}

/**
 * What the page asks for what the examples begin with. The replays and the decisions begin with what has succeeded already: whoever
 * tries them out must not send a payment by that, nor stop one.
 */
export const beginQuery = `query Begin {
  latest: messages(orderBy: UPDATED_DESC, first: 50) {
    nodes { transactionId status attempts createdAt source { topic partition offset } }
  }
  done: messages(filter: { status: [SUCCESS] }, first: 2) { nodes { transactionId } }
}`

const anId = 'ID of a transaction'

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
    deadLetters { open resolved }
    held
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
    query: `# Dead letters that wait for an operator, to be replayed
# or resolved, the latest first. Conditions of a filter
# hold together.
query DeadLetters($after: String) {
  messages(
    filter: {
      status: [DEAD_LETTER]
      resolved: false
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
# its last: its id stands in the variables below. If it is
# archived, the error ARCHIVED names the archive.
query Audit($transactionId: ID!) {
  message(transactionId: $transactionId) {
    transactionId status retryCount attempts version
    errorMessage nextDueAt createdAt updatedAt
    replayable outcomeUnknown idempotencyKey reference
    history {
      version type recordedAt actor lane
      attempt outcome statusCode durationMs
      reason resolution evidence inquiry confirmedNotCarriedOut
      reference destination { name url }
      nextDueAt status retryCount
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
    variables: { transactionId: anId },
    begin: { transactionId: 'told.transactionId' },
  },
  {
    query: `# By what the processor calls the payment (REFERENCE).
# Several payments may have one: then message names them
# in an error, and the list has them all.
query ByReference($reference: String!) {
  messages(filter: { reference: $reference }, first: 20) {
    totalCount { value exact }
    nodes {
      transactionId status reference updatedAt
      history { version type recordedAt reference destination { url } }
    }
  }
}
`,
    variables: { reference: 'pay_arpplfgyduxs_mit01zk0' },
  },
  {
    query: `# What was so at that time, folded from the log.
query AsOf($transactionId: ID!, $time: DateTime!) {
  message(transactionId: $transactionId) {
    status
    asOf(time: $time) {
      at status version retryCount attempts
      errorMessage nextDueAt outcomeUnknown
    }
  }
}
`,
    variables: { transactionId: anId, time: '2999-01-01T00:00:00Z' },
    begin: { transactionId: 'told.transactionId', time: 'told.createdAt' },
  },
  {
    query: `# In which archive a transaction is that is not in the
# database any more: look there for its messageId. Null if
# it is in the database, or was never seen.
query Archived($transactionId: ID!) {
  archived(transactionId: $transactionId) {
    archive messageId archivedAt
  }
}
`,
    variables: { transactionId: anId },
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
# if it was never consumed. The error ARCHIVED names the
# archive if its event is in one.
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
    begin: { topic: 'told.source.topic', partition: 'told.source.partition', offset: 'told.source.offset' },
  },
  {
    query: `# Opens a dead letter again; the log says who asked, and
# why. With an idempotencyKey it can be sent again safely.
# It begins with one that succeeded, which is refused: put
# in an id of the tab DeadLetters.
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
    variables: { transactionId: 'ID of a dead letter', reason: 'the processor is mended' },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Up to 1,000 at once, with a result each, in order.
# It begins with such as succeeded, which are refused.
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
    variables: { transactionIds: ['IDs of dead letters'], reason: 'the processor is mended' },
    begin: { transactionIds: 'done' },
  },
  {
    query: `# Keeps one transaction from being sent until it is
# released. It begins with one that succeeded, which is
# refused: put in one that is PENDING or FAILED.
mutation Hold($transactionId: ID!, $reason: String!) {
  hold(transactionId: $transactionId, reason: $reason) {
    __typename
    ... on Decided { version message { status held } }
    ... on DecisionRefusal { transactionId text }
  }
}
`,
    variables: { transactionId: 'ID of a transaction', reason: 'the customer asks' },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Ends a hold. It begins with one that succeeded, which
# is refused: put in one that is held.
mutation Release($transactionId: ID!, $reason: String!) {
  release(transactionId: $transactionId, reason: $reason) {
    __typename
    ... on Decided { version message { status held nextDueAt } }
    ... on DecisionRefusal { transactionId text }
  }
}
`,
    variables: { transactionId: 'ID of a transaction', reason: 'the customer agrees' },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Calls one transaction off: a dead letter that is not sent.
# It begins with one that succeeded, which is refused: put
# in one that is PENDING or FAILED.
mutation Cancel($transactionId: ID!, $reason: String!) {
  cancel(transactionId: $transactionId, reason: $reason) {
    __typename
    ... on Decided { version message { status deadLetterCause attempts } }
    ... on DecisionRefusal { transactionId text }
  }
}
`,
    variables: { transactionId: 'ID of a transaction', reason: 'called off by the customer' },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Closes a dead letter for good: says what became of the
# payment, and why. Put no card number and no person in it.
# It begins with one that succeeded, which is refused: put
# in an id of the tab DeadLetters.
mutation Resolve(
  $transactionId: ID!
  $as: Resolution!
  $reason: String!
  $evidence: String
) {
  resolve(
    transactionId: $transactionId
    as: $as
    reason: $reason
    evidence: $evidence
  ) {
    __typename
    ... on Decided { version message { status resolution } }
    ... on DecisionRefusal { transactionId text }
    ... on AlreadyResolved { resolution actor since reason }
  }
}
`,
    variables: {
      transactionId: 'ID of a dead letter',
      as: 'CARRIED_OUT',
      reason: 'paid by hand',
      evidence: 'number of the statement',
    },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Opens a resolved dead letter again, so that it can be
# replayed. It begins with one that succeeded, which is
# refused: put in one that is resolved.
mutation Reopen($transactionId: ID!, $reason: String!) {
  reopen(transactionId: $transactionId, reason: $reason) {
    __typename
    ... on Decided { version message { status resolution replayable } }
    ... on DecisionRefusal { transactionId text }
  }
}
`,
    variables: { transactionId: 'ID of a transaction', reason: 'the bank has not got it' },
    begin: { transactionId: 'done.0.transactionId' },
  },
  {
    query: `# Chooses the open dead letters that meet a filter, and
# counts them. Nothing is sent: the plan is taken by
# StartReplay or ResolveMany, within an hour.
mutation PlanReplay($filter: MessageFilter!, $reason: String!) {
  planReplay(filter: $filter, reason: $reason) {
    __typename
    ... on ReplayPlan {
      id count outcomeUnknown
      notReplayable notReplayableBy { reason count }
      byCause { cause count }
      byPattern { pattern count lastAt }
      estimateSeconds(perSecond: 200)
      expiresAt
    }
    ... on PlanRefused { refusal text }
  }
}
`,
    variables: {
      filter: { deadLetterCause: ['RETRIES_EXHAUSTED'] },
      reason: 'the processor is back',
    },
  },
  {
    query: `# Replays a plan as a job: at this pace, and stopped by
# itself when half of the last 100 failed again. It begins
# with a plan that there is not: put in the id of yours.
mutation StartReplay(
  $plan: ID!
  $perSecond: Float
  $rampFrom: Float
  $stopWhen: StopWhen
) {
  startReplay(
    plan: $plan
    perSecond: $perSecond
    rampFrom: $rampFrom
    stopWhen: $stopWhen
  ) {
    __typename
    ... on ReplayJob { id state planned left }
    ... on JobRefused { refusal text }
  }
}
`,
    variables: {
      plan: '0',
      perSecond: 200,
      rampFrom: 20,
      stopWhen: { failedShare: 0.5, after: 100 },
    },
  },
  {
    query: `# The jobs, newest first, and what was decided about each.
query ReplayJobs {
  replayJobs(first: 10) {
    nodes {
      id kind state actor reason perSecond
      planned replayed succeeded failedAgain
      skippedBy { reason count }
      left rate etaSeconds waitsFor stoppedBecause
      startedAt endedAt
      events(first: 10) {
        nodes { version type recordedAt actor reason perSecond }
      }
    }
  }
}
`,
  },
  {
    query: `# A job can be paused, resumed, aborted, or given another
# pace. It begins with a job that there is not.
mutation SteerReplay($job: ID!, $reason: String!) {
  pauseReplay(job: $job, reason: $reason) {
    __typename
    ... on ReplayJob { id state replayed left }
    ... on JobRefused { refusal text job { state } }
  }
  # resumeReplay(job: $job, reason: $reason) { __typename }
  # abortReplay(job: $job, reason: $reason) { __typename }
  # changePace(job: $job, perSecond: 50, reason: $reason) { __typename }
}
`,
    variables: { job: '0', reason: 'wait for the processor' },
  },
  {
    query: `# Closes a whole plan: a thousand rejected records are one
# decision. It begins with a plan that there is not.
mutation ResolveMany($plan: ID!, $as: Resolution!, $reason: String!) {
  resolveMany(plan: $plan, as: $as, reason: $reason) {
    __typename
    ... on ReplayJob { id kind resolution planned }
    ... on JobRefused { refusal text }
  }
}
`,
    variables: { plan: '0', as: 'IGNORED', reason: 'a test of the shop' },
  },
  {
    query: `# Do payments flow to the processor? If not: since when,
# why, how many wait, and what was decided before.
query Destination($after: String) {
  destination {
    name url state since cause actor reason
    until nextProbeAt
    held room limit consecutiveFailures
    rateLimit rateBurst throttledRate notBefore
    decisions(first: 20, after: $after) {
      nodes {
        decision recordedAt state cause actor reason
        until failures refusals probes
      }
      pageInfo { hasNextPage endCursor }
    }
  }
}
`,
  },
  {
    query: `# What was decided, newest first: about payments, the
# destination, jobs, partitions and archives. The filter
# takes kinds, an actor and a range of time.
query Journal($after: String) {
  journal(filter: {}, first: 20, after: $after) {
    nodes {
      at kind by actor decision detail reason
      transactionId destination job topic partition
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
  },
  {
    query: `# Stops sending, on all instances, until the time given,
# or without one until somebody resumes. Records are taken
# in all the time. It begins with no real name, which is
# refused: put in default.
mutation PauseDestination(
  $name: String!
  $reason: String!
  $until: DateTime
) {
  pauseDestination(
    name: $name
    reason: $reason
    until: $until
  ) {
    __typename
    ... on DestinationChanged { decision state }
    ... on DestinationRefusal { name text }
    ... on AlreadyPaused { actor since reason until }
  }
}
`,
    variables: { name: 'name of the destination', reason: 'the processor is being upgraded' },
  },
  {
    query: `# Ends a pause, or a hold of the guard: the room for
# requests doubles each second. It begins with no real
# name, which is refused: put in default.
mutation ResumeDestination($name: String!, $reason: String!) {
  resumeDestination(name: $name, reason: $reason) {
    __typename
    ... on DestinationChanged { decision state }
    ... on DestinationRefusal { name text }
    ... on NotStopped { state }
  }
}
`,
    variables: { name: 'name of the destination', reason: 'the processor is mended' },
  },
  {
    query: `# Limits how many attempts a second all instances together
# start, and how many at once; 0 takes the limit away. It
# begins with no real name, which is refused: put in default.
mutation SetRateLimit(
  $name: String!
  $perSecond: Float!
  $burst: Int
  $reason: String!
) {
  setRateLimit(
    name: $name
    perSecond: $perSecond
    burst: $burst
    reason: $reason
  ) {
    __typename
    ... on DestinationChanged { decision state }
    ... on DestinationRefusal { name text }
  }
}
`,
    variables: {
      name: 'name of the destination',
      perSecond: 200,
      burst: 40,
      reason: 'the processor is slow tonight',
    },
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
    variables: { transactionId: anId },
    begin: { transactionId: 'open.transactionId' },
  },
  {
    query: `# Who came to the data: refused logins, payloads that were
# read, exports, commands, starts and changes of tokens.
# For investigators and operators. filter takes kind,
# actor, and transactionId: who has read its payload?
query Accesses($filter: AccessFilter) {
  accesses(filter: $filter, first: 50) {
    nodes {
      id recordedAt kind actor role address name amount
      transactionIds databaseUser instance startedBy details
    }
    pageInfo { hasNextPage endCursor }
  }
}
`,
    variables: { filter: {} },
  },
  {
    query: `# A client says that it has exported something. Nothing of
# the payments changes.
mutation RecordExport(
  $what: String!
  $format: String!
  $rows: Int!
) {
  recordExport(what: $what, format: $format, rows: $rows)
}
`,
    variables: { what: 'journal', format: 'csv', rows: 0 },
  },
  {
    query: `# Whether payments flow: now, at each decision, and after
# each probe.
subscription LiveDestination {
  destination {
    state since cause actor reason until
    nextProbeAt held
  }
}
`,
  },
  {
    query: `# A replay job: null until its plan is started, then at
# each decision, and once a second while it counts.
subscription LiveReplayJob($id: ID!) {
  replayJob(id: $id) {
    state replayed succeeded failedAgain skipped left
    rate etaSeconds waitsFor stoppedBecause
  }
}
`,
    variables: { id: '0' },
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
