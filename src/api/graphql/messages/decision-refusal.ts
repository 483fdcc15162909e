import { explainDecision, type DecisionRefusal as Answer } from '../../explain-decision.ts'
import { builder } from '../builder.ts'

type Refusal = Answer & { readonly transactionId: string }

export const DecisionRefusal = builder.interfaceRef<Refusal>('DecisionRefusal').implement({
  description: 'Why nothing was decided about a message. Nothing of it stands in the log.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    text: t.string({
      description: 'A sentence for people.',
      resolve: (refusal) => explainDecision(refusal.transactionId, refusal),
    }),
  }),
})
