import type { SteerAnswer } from '../../../log/write/steer-destination.ts'
import { builder } from '../builder.ts'
import { DestinationState } from '../enums.ts'
import { Destination } from './destination.ts'
import { findDestination } from './find.ts'

type Of<Kind extends SteerAnswer['kind']> = Extract<SteerAnswer, { kind: Kind }> & { readonly name: string }
type Refusal = Of<'already_paused' | 'until_passed' | 'not_stopped' | 'rate_unchanged' | 'unknown'>

const DestinationRefusal = builder.interfaceRef<Refusal>('DestinationRefusal').implement({
  description: 'Why a destination was left as it is. Nothing was recorded.',
  fields: (t) => ({
    name: t.exposeString('name', { description: 'The destination that was named.' }),
    text: t.string({ description: 'A sentence for people.', resolve: explain }),
    destination: t.field({
      type: Destination,
      nullable: true,
      description: 'As it stands now, with who decided last; null if there is none of this name.',
      resolve: ({ name }, _, { dependencies }) => findDestination(name, dependencies),
    }),
  }),
})

const DestinationChanged = builder
  .objectRef<Of<'paused' | 'resumed' | 'rate_set'>>('DestinationChanged')
  .implement({
    description: 'The decision is recorded, and every instance is notified.',
    fields: (t) => ({
      name: t.exposeString('name', { description: 'The destination that was named.' }),
      decision: t.exposeInt('decision', { description: 'The number of the decision.' }),
      state: t.expose('state', {
        type: DestinationState,
        description: 'The state that it began; a new limit leaves it as it was.',
      }),
      destination: t.field({
        type: Destination,
        nullable: true,
        description: 'As it stands now; something else may have been decided since.',
        resolve: ({ name }, _, { dependencies }) => findDestination(name, dependencies),
      }),
    }),
  })

const AlreadyPaused = builder.objectRef<Of<'already_paused'>>('AlreadyPaused').implement({
  description: 'It is paused already, and that pause stays as it is.',
  interfaces: [DestinationRefusal],
  fields: (t) => ({
    actor: t.exposeString('actor', { description: 'Who paused it.' }),
    since: t.expose('since', { type: 'DateTime', description: 'When.' }),
    reason: t.exposeString('reason', { description: 'Why.' }),
    until: t.expose('until', {
      type: 'DateTime',
      nullable: true,
      description: 'When that pause ends by itself; null if an operator must end it.',
    }),
  }),
})

const UntilPassed = builder.objectRef<Of<'until_passed'>>('UntilPassed').implement({
  description: 'The pause was to end in the past, by the clock of the database.',
  interfaces: [DestinationRefusal],
  fields: (t) => ({
    state: t.expose('state', { type: DestinationState, description: 'Its state, which stays.' }),
  }),
})

const NotStopped = builder.objectRef<Of<'not_stopped'>>('NotStopped').implement({
  description: 'It is neither held nor paused: payments flow already, or begin to.',
  interfaces: [DestinationRefusal],
  fields: (t) => ({
    state: t.expose('state', { type: DestinationState, description: 'FLOWING or RAMPING.' }),
  }),
})

const RateUnchanged = builder.objectRef<Of<'rate_unchanged'>>('RateUnchanged').implement({
  description: 'It has this limit already.',
  interfaces: [DestinationRefusal],
  fields: (t) => ({
    state: t.expose('state', { type: DestinationState, description: 'Its state, which stays.' }),
  }),
})

const DestinationNotFound = builder.objectRef<Of<'unknown'>>('DestinationNotFound').implement({
  description: 'No destination has this name.',
  interfaces: [DestinationRefusal],
})

export const DestinationResult = builder.unionType('DestinationResult', {
  description: 'May grow: select on the interface DestinationRefusal.',
  types: [DestinationChanged, AlreadyPaused, UntilPassed, NotStopped, RateUnchanged, DestinationNotFound],
  resolveType: ({ kind }) => {
    switch (kind) {
      case 'paused':
      case 'resumed':
      case 'rate_set':
        return DestinationChanged
      case 'already_paused':
        return AlreadyPaused
      case 'until_passed':
        return UntilPassed
      case 'not_stopped':
        return NotStopped
      case 'rate_unchanged':
        return RateUnchanged
      case 'unknown':
        return DestinationNotFound
    }
  },
})

function explain(refusal: Refusal): string {
  const { kind, name } = refusal
  switch (kind) {
    case 'already_paused':
      return `Destination ${name} is paused${decided(refusal)}`
    case 'until_passed':
      return `The pause of destination ${name} would be over already: give a later time.`
    case 'not_stopped':
      return `There is nothing to resume: destination ${name} is ${refusal.state}${decided(refusal)}`
    case 'rate_unchanged':
      return `Destination ${name} has this limit already${decided(refusal)}`
    case 'unknown':
      return 'There is no destination of this name.'
  }
}

/** Who decided last, and why; the end of a sentence. */
function decided({ since, actor, reason }: Of<'already_paused' | 'not_stopped' | 'rate_unchanged'>): string {
  return since === null || actor === null || reason === null ? '.' : ` since ${since}, by ${actor}: ${reason}`
}
