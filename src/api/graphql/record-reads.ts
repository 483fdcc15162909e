import { getOperationAST, OperationTypeNode, type ExecutionArgs, type ExecutionResult } from 'graphql'
import type { Plugin } from 'graphql-yoga'
import type { Asking } from '../accesses/asking.ts'
import { DatabaseUnavailable } from '../ask.ts'
import type { GraphContext } from './create-context.ts'
import { refuse } from './errors.ts'

/**
 * Records whose bytes the answer of a query or a mutation holds, before it leaves. What cannot be recorded is not answered: an access that
 * nobody can ask about later would be worth more to whoever wants to hide it than an outage costs.
 */
export function recordReads(): Plugin<GraphContext> {
  return {
    onExecute: ({ args }) => ({
      onExecuteDone: async ({ setResult }) => {
        const context = args.contextValue as GraphContext
        tellRefused(context)
        if (context.bytesRead.messages === 0) return
        try {
          await context.accesses.read(describeAsking(args), context.bytesRead)
        } catch (error) {
          if (!(error instanceof DatabaseUnavailable)) throw error
          setResult(withhold(args))
        }
      },
    }),
  }
}

/** Who asks an operation, as it is recorded. */
export function describeAsking(
  args: Pick<ExecutionArgs, 'contextValue' | 'document' | 'operationName'>,
): Asking {
  const { viewer, address } = args.contextValue as GraphContext
  const operation = getOperationAST(args.document, args.operationName)?.name?.value ?? null
  return { viewer, address, operation }
}

/** Counts an operation that was refused bytes once, however many fields it asked for. */
export function tellRefused({ bytesRead, accesses, address, viewer }: GraphContext): void {
  if (bytesRead.isRefused) accesses.refuse('role', address, viewer.name)
}

function withhold({ document, operationName }: ExecutionArgs): ExecutionResult {
  const operation = getOperationAST(document, operationName)?.operation
  const done =
    operation === OperationTypeNode.MUTATION ? ' What the mutation changed is changed: ask without them.' : ''
  const sentence = `Payloads, keys and header values are answered only when that can be recorded, and the database does not answer: try again later.${done}`
  return { data: null, errors: [refuse('DATABASE_UNAVAILABLE', sentence)] }
}
