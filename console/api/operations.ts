// Printed from console/api/operations/*.graphql and the schema by `npm run schema`; do not edit.

/** What the API is asked, with the types of what goes in and comes out. */
export type Operation<Result, Variables> = {
  readonly name: string
  readonly text: string
  /** Never there: it carries the types. */
  readonly types?: (variables: Variables) => Result
}

export type ReplayResult = { readonly replay: { readonly __typename: string; readonly text?: string } }
export type ReplayVariables = {
  readonly transactionId: string
  readonly reason: string
  readonly confirmNotCarriedOut?: boolean | null
}
export const replayMutation: Operation<ReplayResult, ReplayVariables> = {
  name: 'Replay',
  text: 'mutation Replay($transactionId: ID!, $reason: String!, $confirmNotCarriedOut: Boolean) {\n  replay(\n    transactionId: $transactionId\n    reason: $reason\n    confirmNotCarriedOut: $confirmNotCarriedOut\n  ) {\n    __typename\n    ... on ReplayRefusal {\n      text\n    }\n  }\n}',
}

export type HoldResult = { readonly hold: { readonly __typename: string; readonly text?: string } }
export type HoldVariables = { readonly transactionId: string; readonly reason: string }
export const holdMutation: Operation<HoldResult, HoldVariables> = {
  name: 'Hold',
  text: 'mutation Hold($transactionId: ID!, $reason: String!) {\n  hold(transactionId: $transactionId, reason: $reason) {\n    __typename\n    ... on DecisionRefusal {\n      text\n    }\n  }\n}',
}

export type ReleaseResult = { readonly release: { readonly __typename: string; readonly text?: string } }
export type ReleaseVariables = { readonly transactionId: string; readonly reason: string }
export const releaseMutation: Operation<ReleaseResult, ReleaseVariables> = {
  name: 'Release',
  text: 'mutation Release($transactionId: ID!, $reason: String!) {\n  release(transactionId: $transactionId, reason: $reason) {\n    __typename\n    ... on DecisionRefusal {\n      text\n    }\n  }\n}',
}

export type CancelResult = { readonly cancel: { readonly __typename: string; readonly text?: string } }
export type CancelVariables = { readonly transactionId: string; readonly reason: string }
export const cancelMutation: Operation<CancelResult, CancelVariables> = {
  name: 'Cancel',
  text: 'mutation Cancel($transactionId: ID!, $reason: String!) {\n  cancel(transactionId: $transactionId, reason: $reason) {\n    __typename\n    ... on DecisionRefusal {\n      text\n    }\n  }\n}',
}

export type ResolveResult = { readonly resolve: { readonly __typename: string; readonly text?: string } }
export type ResolveVariables = {
  readonly transactionId: string
  readonly as: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED'
  readonly reason: string
  readonly evidence?: string | null
}
export const resolveMutation: Operation<ResolveResult, ResolveVariables> = {
  name: 'Resolve',
  text: 'mutation Resolve($transactionId: ID!, $as: Resolution!, $reason: String!, $evidence: String) {\n  resolve(\n    transactionId: $transactionId\n    as: $as\n    reason: $reason\n    evidence: $evidence\n  ) {\n    __typename\n    ... on DecisionRefusal {\n      text\n    }\n  }\n}',
}

export type ReopenResult = { readonly reopen: { readonly __typename: string; readonly text?: string } }
export type ReopenVariables = { readonly transactionId: string; readonly reason: string }
export const reopenMutation: Operation<ReopenResult, ReopenVariables> = {
  name: 'Reopen',
  text: 'mutation Reopen($transactionId: ID!, $reason: String!) {\n  reopen(transactionId: $transactionId, reason: $reason) {\n    __typename\n    ... on DecisionRefusal {\n      text\n    }\n  }\n}',
}

export type DestinationNowResult = {
  readonly destination: {
    readonly name: string
    readonly url: string
    readonly state: 'FLOWING' | 'HELD' | 'PAUSED' | 'RAMPING'
    readonly since: string
    readonly cause:
      | 'FAILURES'
      | 'REFUSALS'
      | 'PROBES'
      | 'RAMPED'
      | 'OPERATOR'
      | 'UNTIL'
      | 'RATE'
      | 'SETTING'
      | 'THROTTLED'
      | 'UNTHROTTLED'
      | null
    readonly actor: string | null
    readonly reason: string | null
    readonly until: string | null
    readonly nextProbeAt: string | null
    readonly held: string
    readonly room: number
    readonly limit: number
    readonly rateLimit: number | null
    readonly rateBurst: number | null
    readonly throttledRate: number | null
    readonly notBefore: string | null
    readonly consecutiveFailures: number
  }
}
export type DestinationNowVariables = Record<string, never>
export const destinationNowOperation: Operation<DestinationNowResult, DestinationNowVariables> = {
  name: 'DestinationNow',
  text: 'subscription DestinationNow {\n  destination {\n    name\n    url\n    state\n    since\n    cause\n    actor\n    reason\n    until\n    nextProbeAt\n    held\n    room\n    limit\n    rateLimit\n    rateBurst\n    throttledRate\n    notBefore\n    consecutiveFailures\n  }\n}',
}

export type PauseDestinationResult = {
  readonly pauseDestination: { readonly __typename: string; readonly text?: string }
}
export type PauseDestinationVariables = { readonly reason: string; readonly until?: string | null }
export const pauseDestinationMutation: Operation<PauseDestinationResult, PauseDestinationVariables> = {
  name: 'PauseDestination',
  text: 'mutation PauseDestination($reason: String!, $until: DateTime) {\n  pauseDestination(reason: $reason, until: $until) {\n    __typename\n    ... on DestinationRefusal {\n      text\n    }\n  }\n}',
}

export type ResumeDestinationResult = {
  readonly resumeDestination: { readonly __typename: string; readonly text?: string }
}
export type ResumeDestinationVariables = { readonly reason: string }
export const resumeDestinationMutation: Operation<ResumeDestinationResult, ResumeDestinationVariables> = {
  name: 'ResumeDestination',
  text: 'mutation ResumeDestination($reason: String!) {\n  resumeDestination(reason: $reason) {\n    __typename\n    ... on DestinationRefusal {\n      text\n    }\n  }\n}',
}

export type SetRateLimitResult = {
  readonly setRateLimit: { readonly __typename: string; readonly text?: string }
}
export type SetRateLimitVariables = {
  readonly perSecond: number
  readonly burst?: number | null
  readonly reason: string
}
export const setRateLimitMutation: Operation<SetRateLimitResult, SetRateLimitVariables> = {
  name: 'SetRateLimit',
  text: 'mutation SetRateLimit($perSecond: Float!, $burst: Int, $reason: String!) {\n  setRateLimit(perSecond: $perSecond, burst: $burst, reason: $reason) {\n    __typename\n    ... on DestinationRefusal {\n      text\n    }\n  }\n}',
}

export type FailuresResult = {
  readonly metrics: {
    readonly at: string
    readonly topFailures:
      | readonly {
          readonly pattern: string
          readonly count: string
          readonly firstAt: string
          readonly lastAt: string
          readonly trend: readonly string[]
          readonly examples: readonly { readonly transactionId: string; readonly outcomeUnknown: boolean }[]
        }[]
      | null
  } | null
}
export type FailuresVariables = { readonly lastSeconds: number }
export const failuresOperation: Operation<FailuresResult, FailuresVariables> = {
  name: 'Failures',
  text: 'subscription Failures($lastSeconds: Int!) {\n  metrics(everyMs: 5000) {\n    at\n    topFailures(lastSeconds: $lastSeconds, first: 50) {\n      pattern\n      count\n      firstAt\n      lastAt\n      trend\n      examples {\n        transactionId\n        outcomeUnknown\n      }\n    }\n  }\n}',
}

export type FailureGroupResult = {
  readonly all: { readonly totalCount: { readonly value: string; readonly exact: boolean } | null } | null
  readonly open: { readonly totalCount: { readonly value: string; readonly exact: boolean } | null } | null
  readonly unknown: { readonly totalCount: { readonly value: string; readonly exact: boolean } | null } | null
}
export type FailureGroupVariables = { readonly pattern: string }
export const failureGroupOperation: Operation<FailureGroupResult, FailureGroupVariables> = {
  name: 'FailureGroup',
  text: 'query FailureGroup($pattern: String!) {\n  all: messages(filter: {failurePattern: $pattern}, first: 1) {\n    totalCount {\n      value\n      exact\n    }\n  }\n  open: messages(\n    filter: {failurePattern: $pattern, status: [DEAD_LETTER], resolved: false}\n    first: 1\n  ) {\n    totalCount {\n      value\n      exact\n    }\n  }\n  unknown: messages(\n    filter: {failurePattern: $pattern, outcomeUnknown: true}\n    first: 1\n  ) {\n    totalCount {\n      value\n      exact\n    }\n  }\n}',
}

export type HeadResult = { readonly head: { readonly cursor: string } | null }
export type HeadVariables = Record<string, never>
export const headOperation: Operation<HeadResult, HeadVariables> = {
  name: 'Head',
  text: 'query Head {\n  head {\n    cursor\n  }\n}',
}

export type JobsResult = {
  readonly replayJobs: {
    readonly nodes: readonly {
      readonly id: string
      readonly kind: 'REPLAY' | 'RESOLVE'
      readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
      readonly state: 'RUNNING' | 'WAITING' | 'PAUSED' | 'STOPPED' | 'ABORTED' | 'DONE'
      readonly actor: string
      readonly reason: string
      readonly planned: string
      readonly replayed: string
      readonly succeeded: string
      readonly failedAgain: string
      readonly skipped: string
      readonly left: string
      readonly rate: number | null
      readonly etaSeconds: number | null
      readonly waitsFor: string | null
      readonly stoppedBecause: string | null
      readonly startedAt: string
    }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  }
}
export type JobsVariables = { readonly after?: string | null }
export const jobsOperation: Operation<JobsResult, JobsVariables> = {
  name: 'Jobs',
  text: 'query Jobs($after: String) {\n  replayJobs(first: 25, after: $after) {\n    nodes {\n      id\n      kind\n      resolution\n      state\n      actor\n      reason\n      planned\n      replayed\n      succeeded\n      failedAgain\n      skipped\n      left\n      rate\n      etaSeconds\n      waitsFor\n      stoppedBecause\n      startedAt\n    }\n    pageInfo {\n      hasNextPage\n      endCursor\n    }\n  }\n}',
}

export type JobNowResult = {
  readonly replayJob: {
    readonly id: string
    readonly kind: 'REPLAY' | 'RESOLVE'
    readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
    readonly state: 'RUNNING' | 'WAITING' | 'PAUSED' | 'STOPPED' | 'ABORTED' | 'DONE'
    readonly actor: string
    readonly reason: string
    readonly perSecond: number | null
    readonly planned: string
    readonly replayed: string
    readonly succeeded: string
    readonly failedAgain: string
    readonly skipped: string
    readonly skippedBy: readonly {
      readonly reason:
        | 'REJECTED_RECORD'
        | 'CONFLICTING_RECORD'
        | 'EXPUNGED'
        | 'CANCELLED'
        | 'ARCHIVED'
        | 'REPLAYED'
        | 'SUCCEEDED'
        | 'RESOLVED'
        | 'KEY_WINDOW_PASSED'
      readonly count: string
    }[]
    readonly left: string
    readonly rate: number | null
    readonly etaSeconds: number | null
    readonly waitsFor: string | null
    readonly stoppedBecause: string | null
    readonly startedAt: string
    readonly endedAt: string | null
    readonly events: {
      readonly nodes: readonly {
        readonly version: number
        readonly recordedAt: string
        readonly type: 'STARTED' | 'PAUSED' | 'RESUMED' | 'PACE_CHANGED' | 'STOPPED' | 'ABORTED' | 'DONE'
        readonly actor: string
        readonly reason: string
        readonly perSecond: number | null
      }[]
      readonly pageInfo: { readonly hasNextPage: boolean }
    } | null
  } | null
}
export type JobNowVariables = { readonly id: string }
export const jobNowOperation: Operation<JobNowResult, JobNowVariables> = {
  name: 'JobNow',
  text: 'subscription JobNow($id: ID!) {\n  replayJob(id: $id) {\n    id\n    kind\n    resolution\n    state\n    actor\n    reason\n    perSecond\n    planned\n    replayed\n    succeeded\n    failedAgain\n    skipped\n    skippedBy {\n      reason\n      count\n    }\n    left\n    rate\n    etaSeconds\n    waitsFor\n    stoppedBecause\n    startedAt\n    endedAt\n    events(first: 200) {\n      nodes {\n        version\n        recordedAt\n        type\n        actor\n        reason\n        perSecond\n      }\n      pageInfo {\n        hasNextPage\n      }\n    }\n  }\n}',
}

export type PauseReplayResult = {
  readonly pauseReplay: { readonly __typename: string; readonly text?: string }
}
export type PauseReplayVariables = { readonly job: string; readonly reason: string }
export const pauseReplayMutation: Operation<PauseReplayResult, PauseReplayVariables> = {
  name: 'PauseReplay',
  text: 'mutation PauseReplay($job: ID!, $reason: String!) {\n  pauseReplay(job: $job, reason: $reason) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type ResumeReplayResult = {
  readonly resumeReplay: { readonly __typename: string; readonly text?: string }
}
export type ResumeReplayVariables = { readonly job: string; readonly reason: string }
export const resumeReplayMutation: Operation<ResumeReplayResult, ResumeReplayVariables> = {
  name: 'ResumeReplay',
  text: 'mutation ResumeReplay($job: ID!, $reason: String!) {\n  resumeReplay(job: $job, reason: $reason) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type ChangePaceResult = {
  readonly changePace: { readonly __typename: string; readonly text?: string }
}
export type ChangePaceVariables = {
  readonly job: string
  readonly perSecond: number
  readonly reason: string
}
export const changePaceMutation: Operation<ChangePaceResult, ChangePaceVariables> = {
  name: 'ChangePace',
  text: 'mutation ChangePace($job: ID!, $perSecond: Float!, $reason: String!) {\n  changePace(job: $job, perSecond: $perSecond, reason: $reason) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type AbortReplayResult = {
  readonly abortReplay: { readonly __typename: string; readonly text?: string }
}
export type AbortReplayVariables = { readonly job: string; readonly reason: string }
export const abortReplayMutation: Operation<AbortReplayResult, AbortReplayVariables> = {
  name: 'AbortReplay',
  text: 'mutation AbortReplay($job: ID!, $reason: String!) {\n  abortReplay(job: $job, reason: $reason) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type StandingResult = {
  readonly destination: {
    readonly room: number
    readonly limit: number
    readonly throttledRate: number | null
  } | null
  readonly replayJobs: {
    readonly nodes: readonly {
      readonly id: string
      readonly kind: 'REPLAY' | 'RESOLVE'
      readonly state: 'RUNNING' | 'WAITING' | 'PAUSED' | 'STOPPED' | 'ABORTED' | 'DONE'
      readonly waitsFor: string | null
      readonly stoppedBecause: string | null
    }[]
  }
}
export type StandingVariables = Record<string, never>
export const standingOperation: Operation<StandingResult, StandingVariables> = {
  name: 'Standing',
  text: 'query Standing {\n  destination {\n    room\n    limit\n    throttledRate\n  }\n  replayJobs(first: 50) {\n    nodes {\n      id\n      kind\n      state\n      waitsFor\n      stoppedBecause\n    }\n  }\n}',
}

export type JournalResult = {
  readonly journal: {
    readonly nodes: readonly {
      readonly id: string
      readonly at: string
      readonly kind: 'PAYMENT' | 'DESTINATION' | 'REPLAY_JOB' | 'PARTITION' | 'ARCHIVE' | 'EPOCH'
      readonly by: 'OPERATOR' | 'SERVICE'
      readonly actor: string
      readonly decision: string
      readonly detail: string | null
      readonly reason: string
      readonly evidence: string | null
      readonly transactionId: string | null
      readonly destination: string | null
      readonly job: string | null
      readonly topic: string | null
      readonly partition: number | null
    }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  } | null
}
export type JournalVariables = {
  readonly filter: {
    readonly kinds?:
      readonly ('PAYMENT' | 'DESTINATION' | 'REPLAY_JOB' | 'PARTITION' | 'ARCHIVE' | 'EPOCH')[] | null
    readonly actor?: string | null
    readonly at?: { readonly from?: string | null; readonly to?: string | null } | null
  }
  readonly first: number
  readonly after?: string | null
}
export const journalOperation: Operation<JournalResult, JournalVariables> = {
  name: 'Journal',
  text: 'query Journal($filter: JournalFilter!, $first: Int!, $after: String) {\n  journal(filter: $filter, first: $first, after: $after) {\n    nodes {\n      id\n      at\n      kind\n      by\n      actor\n      decision\n      detail\n      reason\n      evidence\n      transactionId\n      destination\n      job\n      topic\n      partition\n    }\n    pageInfo {\n      hasNextPage\n      endCursor\n    }\n  }\n}',
}

export type RecordExportResult = { readonly recordExport: string }
export type RecordExportVariables = { readonly format: string; readonly rows: number }
export const recordExportMutation: Operation<RecordExportResult, RecordExportVariables> = {
  name: 'RecordExport',
  text: 'mutation RecordExport($format: String!, $rows: Int!) {\n  recordExport(what: "journal", format: $format, rows: $rows)\n}',
}

export type MessagesResult = {
  readonly messages: {
    readonly totalCount: { readonly value: string; readonly exact: boolean } | null
    readonly nodes: readonly {
      readonly transactionId: string
      readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
      readonly held: boolean
      readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
      readonly outcomeUnknown: boolean
      readonly createdAt: string
      readonly updatedAt: string
      readonly errorMessage: string | null
      readonly deadLetterCause:
        | 'REFUSED'
        | 'RETRIES_EXHAUSTED'
        | 'REJECTED_RECORD'
        | 'CONFLICTING_RECORD'
        | 'CANCELLED'
        | 'OUTCOME_UNKNOWN'
        | null
      readonly replayable: boolean
    }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  } | null
}
export type MessagesVariables = {
  readonly filter: {
    readonly status?: readonly ('PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER')[] | null
    readonly transactionIds?: readonly string[] | null
    readonly transactionIdPrefix?: string | null
    readonly reference?: string | null
    readonly topic?: string | null
    readonly partition?: number | null
    readonly errorContains?: string | null
    readonly failurePattern?: string | null
    readonly lastStatusCode?: readonly number[] | null
    readonly deadLetterCause?:
      | readonly (
          | 'REFUSED'
          | 'RETRIES_EXHAUSTED'
          | 'REJECTED_RECORD'
          | 'CONFLICTING_RECORD'
          | 'CANCELLED'
          | 'OUTCOME_UNKNOWN'
        )[]
      | null
    readonly outcomeUnknown?: boolean | null
    readonly held?: boolean | null
    readonly resolved?: boolean | null
    readonly resolution?: readonly ('CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED')[] | null
    readonly createdAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly updatedAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly dueAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly deadLetteredAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly retryCountMin?: number | null
    readonly retryCountMax?: number | null
  }
  readonly orderBy: 'CREATED_DESC' | 'CREATED_ASC' | 'UPDATED_DESC' | 'UPDATED_ASC' | 'DUE_ASC'
  readonly after?: string | null
}
export const messagesOperation: Operation<MessagesResult, MessagesVariables> = {
  name: 'Messages',
  text: 'query Messages($filter: MessageFilter!, $orderBy: MessageOrder!, $after: String) {\n  messages(filter: $filter, orderBy: $orderBy, first: 25, after: $after) {\n    totalCount {\n      value\n      exact\n    }\n    nodes {\n      transactionId\n      status\n      held\n      resolution\n      outcomeUnknown\n      createdAt\n      updatedAt\n      errorMessage\n      deadLetterCause\n      replayable\n    }\n    pageInfo {\n      hasNextPage\n      endCursor\n    }\n  }\n}',
}

export type ReplayManyResult = {
  readonly replayMany: readonly {
    readonly __typename: string
    readonly transactionId?: string
    readonly text?: string
  }[]
}
export type ReplayManyVariables = {
  readonly transactionIds: readonly string[]
  readonly reason: string
  readonly confirmNotCarriedOut?: boolean | null
}
export const replayManyMutation: Operation<ReplayManyResult, ReplayManyVariables> = {
  name: 'ReplayMany',
  text: 'mutation ReplayMany($transactionIds: [ID!]!, $reason: String!, $confirmNotCarriedOut: Boolean) {\n  replayMany(\n    transactionIds: $transactionIds\n    reason: $reason\n    confirmNotCarriedOut: $confirmNotCarriedOut\n  ) {\n    __typename\n    ... on Replayed {\n      transactionId\n    }\n    ... on ReplayRefusal {\n      transactionId\n      text\n    }\n  }\n}',
}

export type ChangesResult = {
  readonly messageEvents: { readonly cursor: string; readonly node: { readonly version: number } | null }
}
export type ChangesVariables = {
  readonly after: string
  readonly types?:
    | readonly (
        | 'RECEIVED'
        | 'ATTEMPT_STARTED'
        | 'SUCCEEDED'
        | 'ATTEMPT_FAILED'
        | 'ATTEMPT_ABANDONED'
        | 'DEAD_LETTERED'
        | 'REPLAYED'
        | 'DUPLICATE_RECEIVED'
        | 'CONFLICT_RECEIVED'
        | 'REJECTED'
        | 'LATE_RESULT_OBSERVED'
        | 'EXPUNGED'
        | 'HELD'
        | 'RELEASED'
        | 'CANCELLED'
        | 'RESOLVED'
        | 'REOPENED'
        | 'INQUIRY_STARTED'
        | 'INQUIRED'
      )[]
    | null
}
export const changesOperation: Operation<ChangesResult, ChangesVariables> = {
  name: 'Changes',
  text: 'subscription Changes($after: String!, $types: [EventType!]) {\n  messageEvents(after: $after, filter: {types: $types}, positionsEverySeconds: 10) {\n    cursor\n    node {\n      version\n    }\n  }\n}',
}

export type NowResult = {
  readonly metrics: {
    readonly at: string
    readonly counts: {
      readonly pending: string
      readonly processing: string
      readonly success: string
      readonly failed: string
      readonly deadLetter: string
      readonly total: string
    } | null
    readonly deadLetters: { readonly open: string; readonly resolved: string } | null
    readonly held: string | null
    readonly outcomeUnknown: {
      readonly open: string
      readonly deadLetter: string
      readonly success: string
    } | null
    readonly oldestPendingAt: string | null
    readonly oldestDueAt: string | null
    readonly inFlight:
      | readonly {
          readonly lane: 'FRESH' | 'RETRY'
          readonly inFlight: number
          readonly limit: number
          readonly due: { readonly value: string; readonly exact: boolean } | null
        }[]
      | null
    readonly consumer:
      | readonly {
          readonly topic: string
          readonly partition: number
          readonly nextOffset: string
          readonly lag: string | null
          readonly unreadLag: string | null
          readonly stopped: string | null
        }[]
      | null
    readonly kafka: {
      readonly topic: string
      readonly connected: boolean
      readonly since: string
      readonly reason: string | null
      readonly state: 'STARTING' | 'RUNNING' | 'REBALANCING' | 'WAITING_FOR_DATABASE' | 'CRASHED' | 'STOPPED'
      readonly lastFetchAt: string | null
      readonly lastHeartbeatAt: string | null
      readonly assigned: readonly number[]
      readonly waiting: readonly {
        readonly partition: number
        readonly reason: string
        readonly seconds: number
      }[]
      readonly members:
        readonly { readonly instance: string; readonly partitions: readonly number[] }[] | null
      readonly unread:
        readonly { readonly topic: string; readonly partition: number; readonly lag: string | null }[] | null
    } | null
    readonly instances:
      | readonly {
          readonly name: string
          readonly release: string | null
          readonly startedAt: string | null
          readonly state: 'LIVE' | 'SILENT' | 'GONE'
          readonly lastHeartbeatAt: string | null
          readonly answers: boolean
          readonly partitions: readonly number[] | null
        }[]
      | null
    readonly wakeups: { readonly listenerUp: boolean; readonly missed: string } | null
    readonly watermark: { readonly ageSeconds: number } | null
    readonly throughput:
      | readonly {
          readonly at: string
          readonly seconds: number
          readonly received: string
          readonly attempts: string
          readonly succeeded: string
          readonly failed: string
          readonly deadLettered: string
        }[]
      | null
    readonly latency: {
      readonly endToEnd: {
        readonly count: string
        readonly p50Ms: number | null
        readonly p99Ms: number | null
        readonly maxMs: number | null
      }
      readonly attempt: {
        readonly count: string
        readonly p50Ms: number | null
        readonly p99Ms: number | null
        readonly maxMs: number | null
      }
    } | null
  } | null
}
export type NowVariables = Record<string, never>
export const nowOperation: Operation<NowResult, NowVariables> = {
  name: 'Now',
  text: 'subscription Now {\n  metrics(everyMs: 2000) {\n    at\n    counts {\n      pending\n      processing\n      success\n      failed\n      deadLetter\n      total\n    }\n    deadLetters {\n      open\n      resolved\n    }\n    held\n    outcomeUnknown {\n      open\n      deadLetter\n      success\n    }\n    oldestPendingAt\n    oldestDueAt\n    inFlight {\n      lane\n      inFlight\n      limit\n      due {\n        value\n        exact\n      }\n    }\n    consumer {\n      topic\n      partition\n      nextOffset\n      lag\n      unreadLag\n      stopped\n    }\n    kafka {\n      topic\n      connected\n      since\n      reason\n      state\n      lastFetchAt\n      lastHeartbeatAt\n      assigned\n      waiting {\n        partition\n        reason\n        seconds\n      }\n      members {\n        instance\n        partitions\n      }\n      unread {\n        topic\n        partition\n        lag\n      }\n    }\n    instances {\n      name\n      release\n      startedAt\n      state\n      lastHeartbeatAt\n      answers\n      partitions\n    }\n    wakeups {\n      listenerUp\n      missed\n    }\n    watermark {\n      ageSeconds\n    }\n    throughput(lastSeconds: 3600, bucketSeconds: 60) {\n      at\n      seconds\n      received\n      attempts\n      succeeded\n      failed\n      deadLettered\n    }\n    latency(lastSeconds: 3600) {\n      endToEnd {\n        count\n        p50Ms\n        p99Ms\n        maxMs\n      }\n      attempt {\n        count\n        p50Ms\n        p99Ms\n        maxMs\n      }\n    }\n  }\n}',
}

export type PartitionsResult = {
  readonly metrics: {
    readonly consumer:
      | readonly {
          readonly topic: string
          readonly partition: number
          readonly incarnation: number
          readonly nextOffset: string
          readonly highOffset: string | null
          readonly lag: string | null
          readonly unreadLag: string | null
          readonly stopped: string | null
          readonly received: string
          readonly duplicates: string
          readonly conflicts: string
          readonly rejected: string
          readonly holes: string
          readonly gaps: string
          readonly conserved: boolean
        }[]
      | null
    readonly kafka: {
      readonly topic: string
      readonly connected: boolean
      readonly members:
        readonly { readonly instance: string; readonly partitions: readonly number[] }[] | null
      readonly unread:
        readonly { readonly topic: string; readonly partition: number; readonly lag: string | null }[] | null
    } | null
  } | null
}
export type PartitionsVariables = Record<string, never>
export const partitionsOperation: Operation<PartitionsResult, PartitionsVariables> = {
  name: 'Partitions',
  text: 'subscription Partitions {\n  metrics(everyMs: 2000) {\n    consumer {\n      topic\n      partition\n      incarnation\n      nextOffset\n      highOffset\n      lag\n      unreadLag\n      stopped\n      received\n      duplicates\n      conflicts\n      rejected\n      holes\n      gaps\n      conserved\n    }\n    kafka {\n      topic\n      connected\n      members {\n        instance\n        partitions\n      }\n      unread {\n        topic\n        partition\n        lag\n      }\n    }\n  }\n}',
}

export type PlanReplayResult = {
  readonly planReplay: {
    readonly __typename: string
    readonly id?: string
    readonly reason?: string
    readonly count?: string
    readonly byPattern?: readonly { readonly pattern: string; readonly count: string }[]
    readonly byCause?: readonly {
      readonly cause:
        | 'REFUSED'
        | 'RETRIES_EXHAUSTED'
        | 'REJECTED_RECORD'
        | 'CONFLICTING_RECORD'
        | 'CANCELLED'
        | 'OUTCOME_UNKNOWN'
      readonly count: string
    }[]
    readonly outcomeUnknown?: string
    readonly pastKeyWindow?: string
    readonly notReplayable?: string
    readonly secondsAtOne?: number
    readonly expiresAt?: string
    readonly text?: string
  }
}
export type PlanReplayVariables = {
  readonly filter: {
    readonly status?: readonly ('PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER')[] | null
    readonly transactionIds?: readonly string[] | null
    readonly transactionIdPrefix?: string | null
    readonly reference?: string | null
    readonly topic?: string | null
    readonly partition?: number | null
    readonly errorContains?: string | null
    readonly failurePattern?: string | null
    readonly lastStatusCode?: readonly number[] | null
    readonly deadLetterCause?:
      | readonly (
          | 'REFUSED'
          | 'RETRIES_EXHAUSTED'
          | 'REJECTED_RECORD'
          | 'CONFLICTING_RECORD'
          | 'CANCELLED'
          | 'OUTCOME_UNKNOWN'
        )[]
      | null
    readonly outcomeUnknown?: boolean | null
    readonly held?: boolean | null
    readonly resolved?: boolean | null
    readonly resolution?: readonly ('CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED')[] | null
    readonly createdAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly updatedAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly dueAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly deadLetteredAt?: { readonly from?: string | null; readonly to?: string | null } | null
    readonly retryCountMin?: number | null
    readonly retryCountMax?: number | null
  }
  readonly reason: string
}
export const planReplayMutation: Operation<PlanReplayResult, PlanReplayVariables> = {
  name: 'PlanReplay',
  text: 'mutation PlanReplay($filter: MessageFilter!, $reason: String!) {\n  planReplay(filter: $filter, reason: $reason) {\n    __typename\n    ... on ReplayPlan {\n      id\n      reason\n      count\n      byPattern {\n        pattern\n        count\n      }\n      byCause {\n        cause\n        count\n      }\n      outcomeUnknown\n      pastKeyWindow\n      notReplayable\n      secondsAtOne: estimateSeconds(perSecond: 1)\n      expiresAt\n    }\n    ... on PlanRefused {\n      text\n    }\n  }\n}',
}

export type StartReplayResult = {
  readonly startReplay: { readonly __typename: string; readonly text?: string }
}
export type StartReplayVariables = {
  readonly plan: string
  readonly perSecond?: number | null
  readonly rampFrom?: number | null
  readonly stopWhen?: { readonly failedShare: number; readonly after: number } | null
  readonly confirmNotCarriedOut?: boolean | null
}
export const startReplayMutation: Operation<StartReplayResult, StartReplayVariables> = {
  name: 'StartReplay',
  text: 'mutation StartReplay($plan: ID!, $perSecond: Float, $rampFrom: Float, $stopWhen: StopWhen, $confirmNotCarriedOut: Boolean) {\n  startReplay(\n    plan: $plan\n    perSecond: $perSecond\n    rampFrom: $rampFrom\n    stopWhen: $stopWhen\n    confirmNotCarriedOut: $confirmNotCarriedOut\n  ) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type ResolveManyResult = {
  readonly resolveMany: { readonly __typename: string; readonly text?: string }
}
export type ResolveManyVariables = {
  readonly plan: string
  readonly as: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED'
  readonly reason: string
}
export const resolveManyMutation: Operation<ResolveManyResult, ResolveManyVariables> = {
  name: 'ResolveMany',
  text: 'mutation ResolveMany($plan: ID!, $as: Resolution!, $reason: String!) {\n  resolveMany(plan: $plan, as: $as, reason: $reason) {\n    __typename\n    ... on JobRefused {\n      text\n    }\n  }\n}',
}

export type FindMessageResult = {
  readonly message: { readonly transactionId: string } | null
  readonly archived: { readonly archive: string; readonly archivedAt: string } | null
}
export type FindMessageVariables = { readonly transactionId: string }
export const findMessageOperation: Operation<FindMessageResult, FindMessageVariables> = {
  name: 'FindMessage',
  text: 'query FindMessage($transactionId: ID!) {\n  message(transactionId: $transactionId) {\n    transactionId\n  }\n  archived(transactionId: $transactionId) {\n    archive\n    archivedAt\n  }\n}',
}

export type FindByPrefixResult = {
  readonly messages: {
    readonly nodes: readonly {
      readonly transactionId: string
      readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
      readonly held: boolean
      readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
      readonly outcomeUnknown: boolean
      readonly createdAt: string
      readonly updatedAt: string
      readonly errorMessage: string | null
    }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  } | null
}
export type FindByPrefixVariables = { readonly prefix: string; readonly after?: string | null }
export const findByPrefixOperation: Operation<FindByPrefixResult, FindByPrefixVariables> = {
  name: 'FindByPrefix',
  text: 'query FindByPrefix($prefix: String!, $after: String) {\n  messages(filter: {transactionIdPrefix: $prefix}, first: 20, after: $after) {\n    nodes {\n      transactionId\n      status\n      held\n      resolution\n      outcomeUnknown\n      createdAt\n      updatedAt\n      errorMessage\n    }\n    pageInfo {\n      hasNextPage\n      endCursor\n    }\n  }\n}',
}

export type FindByReferenceResult = {
  readonly messages: {
    readonly nodes: readonly {
      readonly transactionId: string
      readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
      readonly held: boolean
      readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
      readonly outcomeUnknown: boolean
      readonly createdAt: string
      readonly updatedAt: string
      readonly errorMessage: string | null
    }[]
    readonly pageInfo: { readonly hasNextPage: boolean; readonly endCursor: string | null }
  } | null
}
export type FindByReferenceVariables = { readonly reference: string }
export const findByReferenceOperation: Operation<FindByReferenceResult, FindByReferenceVariables> = {
  name: 'FindByReference',
  text: 'query FindByReference($reference: String!) {\n  messages(filter: {reference: $reference}, first: 200) {\n    nodes {\n      transactionId\n      status\n      held\n      resolution\n      outcomeUnknown\n      createdAt\n      updatedAt\n      errorMessage\n    }\n    pageInfo {\n      hasNextPage\n      endCursor\n    }\n  }\n}',
}

export type FindRecordResult = { readonly record: { readonly transactionId: string } | null }
export type FindRecordVariables = {
  readonly topic: string
  readonly partition: number
  readonly offset: string
}
export const findRecordOperation: Operation<FindRecordResult, FindRecordVariables> = {
  name: 'FindRecord',
  text: 'query FindRecord($topic: String!, $partition: Int!, $offset: BigInt!) {\n  record(topic: $topic, partition: $partition, offset: $offset) {\n    transactionId\n  }\n}',
}

export type TransactionResult = {
  readonly message: {
    readonly transactionId: string
    readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
    readonly retryCount: number
    readonly attempts: number
    readonly version: number
    readonly errorMessage: string | null
    readonly nextDueAt: string | null
    readonly held: boolean
    readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
    readonly createdAt: string
    readonly updatedAt: string
    readonly outcomeUnknown: boolean
    readonly idempotencyKey: string
    readonly reference: string | null
    readonly replayable: boolean
    readonly deadLetterCause:
      | 'REFUSED'
      | 'RETRIES_EXHAUSTED'
      | 'REJECTED_RECORD'
      | 'CONFLICTING_RECORD'
      | 'CANCELLED'
      | 'OUTCOME_UNKNOWN'
      | null
    readonly deadLetteredAt: string | null
    readonly lastOutcome: 'ACCEPTED' | 'REFUSED' | 'UNAVAILABLE' | 'NOT_SENT' | 'UNKNOWN' | null
    readonly lastStatusCode: number | null
    readonly conflictCount: number
    readonly conflicts: readonly { readonly transactionId: string; readonly createdAt: string }[] | null
    readonly conflictsWith: { readonly transactionId: string } | null
    readonly source: {
      readonly topic: string
      readonly partition: number
      readonly incarnation: number
      readonly offset: string
      readonly timestamp: string | null
      readonly headerCount: number
    } | null
    readonly payload: {
      readonly state: 'WHOLE' | 'CUT' | 'EXPUNGED' | 'ABSENT'
      readonly bytes: number | null
      readonly sha256: string | null
    } | null
    readonly history:
      | readonly {
          readonly version: number
          readonly type:
            | 'RECEIVED'
            | 'ATTEMPT_STARTED'
            | 'SUCCEEDED'
            | 'ATTEMPT_FAILED'
            | 'ATTEMPT_ABANDONED'
            | 'DEAD_LETTERED'
            | 'REPLAYED'
            | 'DUPLICATE_RECEIVED'
            | 'CONFLICT_RECEIVED'
            | 'REJECTED'
            | 'LATE_RESULT_OBSERVED'
            | 'EXPUNGED'
            | 'HELD'
            | 'RELEASED'
            | 'CANCELLED'
            | 'RESOLVED'
            | 'REOPENED'
            | 'INQUIRY_STARTED'
            | 'INQUIRED'
          readonly recordedAt: string
          readonly actor: string
          readonly lane: 'FRESH' | 'RETRY' | null
          readonly attempt: number | null
          readonly outcome: 'ACCEPTED' | 'REFUSED' | 'UNAVAILABLE' | 'NOT_SENT' | 'UNKNOWN' | null
          readonly statusCode: number | null
          readonly durationMs: number | null
          readonly reason: string | null
          readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
          readonly evidence: string | null
          readonly job: string | null
          readonly inquiry: 'CARRIED_OUT' | 'REFUSED' | 'IN_PROGRESS' | 'NOT_FOUND' | 'NO_ANSWER' | null
          readonly confirmedNotCarriedOut: boolean | null
          readonly reference: string | null
          readonly destination: { readonly url: string | null } | null
          readonly nextDueAt: string | null
          readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
          readonly source: {
            readonly topic: string
            readonly partition: number
            readonly offset: string
          } | null
          readonly conflict: { readonly transactionId: string } | null
        }[]
      | null
  } | null
}
export type TransactionVariables = { readonly transactionId: string; readonly afterVersion: number }
export const transactionOperation: Operation<TransactionResult, TransactionVariables> = {
  name: 'Transaction',
  text: 'query Transaction($transactionId: ID!, $afterVersion: Int!) {\n  message(transactionId: $transactionId) {\n    transactionId\n    status\n    retryCount\n    attempts\n    version\n    errorMessage\n    nextDueAt\n    held\n    resolution\n    createdAt\n    updatedAt\n    outcomeUnknown\n    idempotencyKey\n    reference\n    replayable\n    deadLetterCause\n    deadLetteredAt\n    lastOutcome\n    lastStatusCode\n    conflictCount\n    conflicts {\n      transactionId\n      createdAt\n    }\n    conflictsWith {\n      transactionId\n    }\n    source {\n      topic\n      partition\n      incarnation\n      offset\n      timestamp\n      headerCount\n    }\n    payload {\n      state\n      bytes\n      sha256\n    }\n    history(afterVersion: $afterVersion, first: 200) {\n      version\n      type\n      recordedAt\n      actor\n      lane\n      attempt\n      outcome\n      statusCode\n      durationMs\n      reason\n      resolution\n      evidence\n      job\n      inquiry\n      confirmedNotCarriedOut\n      reference\n      destination {\n        url\n      }\n      nextDueAt\n      status\n      source {\n        topic\n        partition\n        offset\n      }\n      conflict {\n        transactionId\n      }\n    }\n  }\n}',
}

export type BytesResult = {
  readonly message: {
    readonly payload: {
      readonly state: 'WHOLE' | 'CUT' | 'EXPUNGED' | 'ABSENT'
      readonly text: string | null
      readonly base64: string | null
    } | null
    readonly source: {
      readonly key: string | null
      readonly keyBase64: string | null
      readonly headers: readonly {
        readonly name: string
        readonly value: string | null
        readonly valueBase64: string | null
      }[]
    } | null
  } | null
}
export type BytesVariables = { readonly transactionId: string }
export const bytesOperation: Operation<BytesResult, BytesVariables> = {
  name: 'Bytes',
  text: 'query Bytes($transactionId: ID!) {\n  message(transactionId: $transactionId) {\n    payload {\n      state\n      text\n      base64\n    }\n    source {\n      key\n      keyBase64\n      headers {\n        name\n        value\n        valueBase64\n      }\n    }\n  }\n}',
}

export type StateAtResult = {
  readonly message: {
    readonly asOf: {
      readonly status: 'PENDING' | 'PROCESSING' | 'SUCCESS' | 'FAILED' | 'DEAD_LETTER'
      readonly retryCount: number
      readonly attempts: number
      readonly version: number
      readonly errorMessage: string | null
      readonly nextDueAt: string | null
      readonly held: boolean
      readonly resolution: 'CARRIED_OUT' | 'NOT_CARRIED_OUT' | 'DUPLICATE' | 'IGNORED' | null
      readonly outcomeUnknown: boolean
    } | null
  } | null
}
export type StateAtVariables = { readonly transactionId: string; readonly time: string }
export const stateAtOperation: Operation<StateAtResult, StateAtVariables> = {
  name: 'StateAt',
  text: 'query StateAt($transactionId: ID!, $time: DateTime!) {\n  message(transactionId: $transactionId) {\n    asOf(time: $time) {\n      status\n      retryCount\n      attempts\n      version\n      errorMessage\n      nextDueAt\n      held\n      resolution\n      outcomeUnknown\n    }\n  }\n}',
}

export type TransactionEventsResult = {
  readonly messageEvents: { readonly cursor: string; readonly node: { readonly version: number } | null }
}
export type TransactionEventsVariables = { readonly after: string; readonly transactionId: string }
export const transactionEventsOperation: Operation<TransactionEventsResult, TransactionEventsVariables> = {
  name: 'TransactionEvents',
  text: 'subscription TransactionEvents($after: String!, $transactionId: ID!) {\n  messageEvents(\n    after: $after\n    filter: {transactionIds: [$transactionId]}\n    positionsEverySeconds: 10\n  ) {\n    cursor\n    node {\n      version\n    }\n  }\n}',
}

export type ViewerResult = {
  readonly viewer: { readonly name: string; readonly role: 'VIEWER' | 'INVESTIGATOR' | 'OPERATOR' }
}
export type ViewerVariables = Record<string, never>
export const viewerOperation: Operation<ViewerResult, ViewerVariables> = {
  name: 'Viewer',
  text: 'query Viewer {\n  viewer {\n    name\n    role\n  }\n}',
}
