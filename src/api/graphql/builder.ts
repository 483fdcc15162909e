import SchemaBuilder from '@pothos/core'
import DataloaderPlugin from '@pothos/plugin-dataloader'
import ErrorsPlugin from '@pothos/plugin-errors'
import type { GraphContext } from './create-context.ts'

/**
 * The one builder that every capability adds its types to. A field is non-null unless it says otherwise: what needs a second
 * look-up says so, so that one bad row never blanks the whole answer.
 */
export const builder = new SchemaBuilder<{
  Context: GraphContext
  DefaultFieldNullability: false
  Scalars: {
    ID: { Input: string; Output: string }
    /** RFC 3339 in UTC with six digits. */
    DateTime: { Input: string; Output: string }
    /** Decimal digits. */
    BigInt: { Input: string; Output: string }
    JSON: { Input: unknown; Output: unknown }
  }
}>({
  plugins: [ErrorsPlugin, DataloaderPlugin],
  defaultFieldNullability: false,
  errors: { defaultTypes: [] },
})

builder.queryType({ description: 'What can be asked; nothing here changes anything.' })

builder.mutationType({ description: 'What an operator can do.' })
