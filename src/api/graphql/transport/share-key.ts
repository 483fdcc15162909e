import {
  getOperationAST,
  Kind,
  print,
  visit,
  type DocumentNode,
  type ExecutionArgs,
  type OperationDefinitionNode,
} from 'graphql'

/**
 * Two operations with the same key answer the same for the same event: the same text and variables, but for the arguments of
 * the subscription's own field, which have done their work when the event is chosen, and the same viewer. Null where that
 * cannot be told.
 */
export function shareKey(
  {
    document,
    operationName,
    variableValues,
  }: Pick<ExecutionArgs, 'document' | 'operationName' | 'variableValues'>,
  viewer: { readonly name: string; readonly role: string },
): string | null {
  const operation = getOperationAST(document, operationName)
  if (operation === null || operation === undefined) return null
  const answering = removeRootArguments(document, operation)
  const used = new Set<string>()
  visit(answering, {
    VariableDefinition: () => false,
    Variable: ({ name }) => {
      used.add(name.value)
    },
  })
  const values = [...used].sort().map((name) => [name, variableValues?.[name]])
  return JSON.stringify([viewer.name, viewer.role, operation.name?.value, print(answering), values])
}

function removeRootArguments(document: DocumentNode, operation: OperationDefinitionNode): DocumentNode {
  const selections = operation.selectionSet.selections.map((each) =>
    each.kind === Kind.FIELD ? { ...each, arguments: [] } : each,
  )
  // Definitions of variables are part of what is printed, also of those that are not used any more.
  const stripped = { ...operation, selectionSet: { ...operation.selectionSet, selections } }
  return {
    ...document,
    definitions: document.definitions.map((each) => (each === operation ? stripped : each)),
  }
}
