import { listDecisions, type DestinationDecision } from '../../../log/read/list-decisions.ts'
import type { DestinationStanding } from '../../../log/read/read-destinations.ts'
import { ask } from '../../ask.ts'
import { builder } from '../builder.ts'
import { connectionOf } from '../connection-of.ts'
import { decodeDecisionCursor, encodeDecisionCursor } from '../cursor.ts'
import { DestinationCause, DestinationState } from '../enums.ts'
import { listPage } from '../list-page.ts'

const limits = { rowsDefault: 20, rowsMax: 200 }

const Decision = builder.objectRef<DestinationDecision>('DestinationDecision').implement({
  description: 'A decision about a destination, by the guard or by an operator. It stays for ever.',
  fields: (t) => ({
    decision: t.exposeInt('decision', { description: 'Its number; counts from 1 for each destination.' }),
    recordedAt: t.expose('recordedAt', { type: 'DateTime', description: 'When it was made.' }),
    state: t.expose('state', {
      type: DestinationState,
      description: 'The state that it began; for a decision about the pace, the one that it left as it was.',
    }),
    cause: t.expose('cause', { type: DestinationCause, description: 'Why.' }),
    actor: t.exposeString('actor', {
      description: "The operator; or an instance's guard, which made a decision that was due.",
    }),
    reason: t.exposeString('reason', { description: 'A sentence for people.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When the pause was to end by itself; null if it was not, or for another state.',
    }),
    rateLimit: t.exposeFloat('rateLimit', {
      nullable: true,
      description: 'Attempts a second over all instances from then on; null if there was no limit.',
    }),
    rateBurst: t.exposeInt('rateBurst', {
      nullable: true,
      description: 'How many of them may start at once; null if there was no limit.',
    }),
    failures: t.exposeInt('failures', {
      description: 'Failures in a row that spoke of the destination, when it was made.',
    }),
    refusals: t.exposeInt('refusals', { description: 'Refused payments in a row, when it was made.' }),
    probes: t.exposeInt('probes', { description: 'Answered probes in a row, when it was made.' }),
  }),
})

const DecisionConnection = connectionOf('DestinationDecision', Decision, {
  one: 'decision',
  many: 'decisions',
  edge: 'A decision and its place in the list.',
  cursor: 'Ask for the decisions after it, which are older.',
  page: 'A page of decisions, newest first.',
})

export const Destination = builder.objectRef<DestinationStanding>('Destination').implement({
  description:
    'Where payments are delivered, and whether they flow there. All is of the whole service, but url, room and limit are of this instance.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'Names it for ever.' }),
    url: t.string({
      description:
        'Where this instance sends payments: DOWNSTREAM_URL without user, password, query and fragment, which may be secret.',
      resolve: (_, __, { dependencies }) => dependencies.destination.url,
    }),
    state: t.expose('state', { type: DestinationState, description: 'Whether payments flow.' }),
    since: t.expose('since', {
      type: 'DateTime',
      description: 'When its state began; before the first decision, when the first instance started.',
    }),
    cause: t.expose('cause', {
      type: DestinationCause,
      nullable: true,
      description: 'Why it is in this state; null before the first decision, as are actor and reason.',
    }),
    actor: t.exposeString('actor', { nullable: true, description: 'Who decided that.' }),
    reason: t.exposeString('reason', { nullable: true, description: 'A sentence for people.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When a pause ends by itself; null if an operator must end it.',
    }),
    nextProbeAt: t.expose('nextProbeAt', {
      type: 'DateTime',
      nullable: true,
      description: 'HELD: when the next probe may start. While a probe is open, when it might have started.',
    }),
    held: t.expose('held', {
      type: 'BigInt',
      description: 'How many messages wait, PENDING and FAILED, while it does not flow; 0 while it flows.',
    }),
    room: t.int({
      description:
        'How many requests the lanes of this instance together may have under way now. HELD: 1, the probe of whichever instance gets it.',
      resolve: (_, __, { dependencies }) => dependencies.health().destination.room,
    }),
    limit: t.int({
      description: 'How many they may have at most: MAX_CONCURRENT + MAX_CONCURRENT_RETRIES.',
      resolve: (_, __, { dependencies }) => dependencies.health().destination.limit,
    }),
    rateLimit: t.exposeFloat('rateLimit', {
      nullable: true,
      description:
        'How many attempts a second all instances together may start: RATE_LIMIT, or what an operator set; null if there is no limit.',
    }),
    rateBurst: t.exposeInt('rateBurst', {
      nullable: true,
      description: 'How many of them may start at once; null if there is no limit.',
    }),
    throttledRate: t.exposeFloat('throttledRate', {
      nullable: true,
      description:
        'How many attempts a second the processor gets now, because it asked for less (429, or 503 with Retry-After); null if it did not.',
    }),
    notBefore: t.expose('notBefore', {
      type: 'DateTime',
      nullable: true,
      description:
        'No attempt starts before, because the processor named a time to wait; null if it is over.',
    }),
    consecutiveFailures: t.exposeInt('failures', {
      description:
        'Failures in a row that speak of the destination, over all instances, since its state began; an answer to a payment resets it.',
    }),
    decisions: t.field({
      type: DecisionConnection,
      nullable: true,
      description: 'What was decided about it, newest first. 20 a page by default, at most 200.',
      args: {
        first: t.arg.int({ description: 'So many; at most 200.' }),
        after: t.arg.string({ description: 'Only what comes after this cursor, which is older.' }),
      },
      resolve: ({ name }, page, { dependencies }) =>
        listPage(page, {
          limits,
          decode: (text) => decodeDecisionCursor(text, name),
          read: (after, rowsMax) =>
            ask(dependencies.database, (client) => listDecisions(client, name, after, rowsMax)),
          encode: ({ decision }) => encodeDecisionCursor(name, decision),
        }),
    }),
  }),
})
