import { explainExpunge, type ExpungeRefusal as Answer } from '../../explain-expunge.ts'
import { builder } from '../builder.ts'

type Refusal = Answer & { readonly transactionId: string }

export const ExpungeRefusal = builder.interfaceRef<Refusal>('ExpungeRefusal').implement({
  description: 'Why a message was not expunged. Nothing of it stands in the log.',
  fields: (t) => ({
    transactionId: t.exposeID('transactionId', { description: 'The id that was named.' }),
    text: t.string({
      description: 'A sentence for people.',
      resolve: (refusal) => explainExpunge(refusal.transactionId, refusal),
    }),
  }),
})
