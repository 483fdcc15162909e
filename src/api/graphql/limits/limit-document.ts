import { EnvelopArmor } from '@escape.tech/graphql-armor'
import { MaxIntrospectionDepthRule, NoSchemaIntrospectionCustomRule, parse } from 'graphql'
import type { Plugin } from 'graphql-yoga'

// What a dashboard asks in one document stays far below: replayMany with a thousand ids written out has some 1,100 tokens, and the
// deepest way of the schema that means anything (messages … history, conflict, source, headers) has nine levels.
const tokensMax = 2_000
const depthMax = 12
const aliasesMax = 50
const directivesMax = 20

/** Refuses a document before anything of it is executed, however it came: it is read once, and for a bounded time. */
export function limitDocument({ introspection }: { readonly introspection: boolean }): Plugin[] {
  return [limitTokens(), ...armor(introspection).plugins, limitIntrospection(introspection)] as Plugin[]
}

/** By graphql's own counter: a document of a million tokens is given up at the first too many. */
function limitTokens(): Plugin {
  return {
    onParse: ({ setParseFn }) =>
      setParseFn((source: string, options: object) => parse(source, { ...options, maxTokens: tokensMax })),
  }
}

function armor(introspection: boolean) {
  // Collected as errors of validation like all others: thrown, they would be answered as if the server had failed.
  const collect = {
    propagateOnRejection: false,
    onReject: [
      (context: { reportError: (error: Error) => void } | null, error: Error) => context?.reportError(error),
    ],
  }
  return new EnvelopArmor({
    maxDepth: { n: depthMax, flattenFragments: true, ...collect },
    maxAliases: { n: aliasesMax, ...collect },
    maxDirectives: { n: directivesMax, ...collect },
    // Counted by the parser itself.
    maxTokens: { enabled: false },
    // It does not know how many objects a page may hold; `cost-of.ts` does.
    costLimit: { enabled: false },
    // Suggestions tell the schema piece by piece, and help whoever may read it anyway.
    blockFieldSuggestion: { enabled: !introspection },
  } as ConstructorParameters<typeof EnvelopArmor>[0]).protect()
}

/** Introspection is not counted by the limits above: it has cycles of its own, and can be switched off. */
function limitIntrospection(introspection: boolean): Plugin {
  return {
    onValidate: ({ addValidationRule }) => {
      addValidationRule(introspection ? MaxIntrospectionDepthRule : NoSchemaIntrospectionCustomRule)
    },
  }
}
