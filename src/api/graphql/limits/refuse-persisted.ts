import { GraphQLError } from 'graphql'
import type { Plugin } from 'graphql-yoga'

/**
 * Some clients send the hash of a document instead of the document (Apollo's automatic persisted queries). This service stores no documents.
 * It answers with the error code after which these clients send documents, and never a hash again.
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
