import {
  getOperationAST,
  Kind,
  OperationTypeNode,
  type DocumentNode,
  type FragmentDefinitionNode,
  type GraphQLError,
  type OperationDefinitionNode,
} from 'graphql'
import type { Plugin } from 'graphql-yoga'
import { may } from '../../access.ts'
import type { GraphContext } from '../create-context.ts'
import { refuse } from '../errors.ts'
import { schema } from '../schema.ts'
import { costOf } from './cost-of.ts'

// An answer of 100,000 values is some 5 MB: 500 events with everything of them, or 40 messages with 200 events each.
const costMax = 100_000

/** Refuses an operation before its first resolver: a viewer's mutation, and what would cost too much. */
export function admit(): Plugin<GraphContext> {
  return {
    onExecute: ({ args, setResultAndStopExecution }) => {
      const error = judge(args)
      if (error !== null) setResultAndStopExecution({ errors: [error] })
    },
    onSubscribe: ({ args, setResultAndStopExecution }) => {
      const error = judge(args)
      if (error !== null) setResultAndStopExecution({ errors: [error] })
    },
  }
}

type Asked = {
  document: DocumentNode
  operationName?: string | null | undefined
  variableValues?: Readonly<Record<string, unknown>> | null | undefined
  contextValue: Pick<GraphContext, 'viewer' | 'address' | 'accesses'>
}

function judge({ document, operationName, variableValues, contextValue }: Asked): GraphQLError | null {
  const operation = getOperationAST(document, operationName)
  // Execution says it better.
  if (!operation) return null
  const { viewer, address, accesses } = contextValue
  if (isForOperators(operation) && !may(viewer, 'operator')) {
    accesses.refuse('role', address, viewer.name)
    return refuse('FORBIDDEN', 'This token may only look: an operator is needed.', { http: { status: 403 } })
  }
  const fragments = new Map(
    document.definitions
      .filter((each): each is FragmentDefinitionNode => each.kind === Kind.FRAGMENT_DEFINITION)
      .map((each) => [each.name.value, each]),
  )
  const cost = costOf(schema, operation, fragments, variableValues ?? {})
  if (cost <= costMax) return null
  const sentence = `The answer may hold ${cost} values, and at most ${costMax} are answered at once: ask for a smaller page (first), or for fewer fields.`
  return refuse('COST_EXCEEDED', sentence, { http: { status: 400, spec: true } })
}

// What changes no message, and is for whoever may look.
const openMutations = new Set(['recordExport'])

function isForOperators({ operation, selectionSet }: OperationDefinitionNode): boolean {
  if (operation !== OperationTypeNode.MUTATION) return false
  return selectionSet.selections.some(
    (each) => each.kind !== Kind.FIELD || !openMutations.has(each.name.value),
  )
}
