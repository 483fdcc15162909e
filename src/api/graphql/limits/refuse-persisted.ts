import { GraphQLError } from 'graphql'
import type { Plugin } from 'graphql-yoga'

/**
 * Says to clients that send the hash of a document in its place (Apollo's automatic persisted queries) that here is no store of
 * documents, in the words at which they send the document and never a hash again.
 */
export function refusePersisted(): Plugin {
  return {
    onParams: ({ params }) => {
      if (typeof params.query === 'string' || params.extensions?.persistedQuery === undefined) return
      throw new GraphQLError('PersistedQueryNotSupported', {
        extensions: { code: 'PERSISTED_QUERY_NOT_SUPPORTED', http: { status: 400, spec: true } },
      })
    },
  }
}
