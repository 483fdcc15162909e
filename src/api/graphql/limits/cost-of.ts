import {
  getNamedType,
  getNullableType,
  isInterfaceType,
  isListType,
  isObjectType,
  Kind,
  type ArgumentNode,
  type FragmentDefinitionNode,
  type FieldNode,
  type GraphQLField,
  type GraphQLNamedType,
  type GraphQLSchema,
  type OperationDefinitionNode,
  type SelectionSetNode,
  type ValueNode,
} from 'graphql'

type Variables = Readonly<Record<string, unknown>>

type Walk = {
  readonly schema: GraphQLSchema
  readonly fragments: ReadonlyMap<string, FragmentDefinitionNode>
  readonly variables: Variables
  /** A fragment costs the same wherever it is spread, and spreads within spreads would be walked exponentially often. */
  readonly known: Map<string, number>
}

// What a page without a size is taken for, and a list that has none; no page holds more than the other.
const itemsUnstated = 100
const itemsMax = 1_000

/**
 * How many values an answer may hold at most: each field counts once for each object that it may stand in, and a list holds
 * as many as its `first` or `last` asks for. A subscription's is that of one delivery. The document must be valid.
 */
export function costOf(
  schema: GraphQLSchema,
  operation: OperationDefinitionNode,
  fragments: ReadonlyMap<string, FragmentDefinitionNode>,
  variables: Variables,
): number {
  const defaults = (operation.variableDefinitions ?? []).flatMap(({ variable, defaultValue }) =>
    defaultValue === undefined ? [] : [[variable.name.value, valueOf(defaultValue, {})] as const],
  )
  const walk = {
    schema,
    fragments,
    variables: { ...Object.fromEntries(defaults), ...variables },
    known: new Map<string, number>(),
  }
  return costOfSelections(walk, operation.selectionSet, schema.getRootType(operation.operation))
}

function costOfSelections(
  walk: Walk,
  { selections }: SelectionSetNode,
  type: GraphQLNamedType | null | undefined,
): number {
  return selections.reduce((sum, selection) => {
    switch (selection.kind) {
      case Kind.FIELD:
        return sum + costOfField(walk, selection, type)
      case Kind.INLINE_FRAGMENT: {
        const condition = selection.typeCondition?.name.value
        const narrowed = condition === undefined ? type : walk.schema.getType(condition)
        return sum + costOfSelections(walk, selection.selectionSet, narrowed)
      }
      case Kind.FRAGMENT_SPREAD:
        return sum + costOfFragment(walk, selection.name.value)
    }
  }, 0)
}

function costOfFragment(walk: Walk, name: string): number {
  const known = walk.known.get(name)
  const fragment = walk.fragments.get(name)
  if (known !== undefined || fragment === undefined) return known ?? 0
  const type = walk.schema.getType(fragment.typeCondition.name.value)
  const cost = costOfSelections(walk, fragment.selectionSet, type)
  walk.known.set(name, cost)
  return cost
}

function costOfField(walk: Walk, node: FieldNode, parent: GraphQLNamedType | null | undefined): number {
  const fields = isObjectType(parent) || isInterfaceType(parent) ? parent.getFields() : {}
  const field = fields[node.name.value]
  // __typename and introspection, which has limits of its own.
  if (field === undefined) return 1
  if (node.selectionSet === undefined) return 1
  const itemCost = costOfSelections(walk, node.selectionSet, getNamedType(field.type))
  return 1 + countItems(walk, node, field, fields) * itemCost
}

function countItems(
  walk: Walk,
  node: FieldNode,
  field: GraphQLField<unknown, unknown>,
  siblings: Readonly<Record<string, unknown>>,
): number {
  const given = (name: string) => valueOfArgument(node.arguments ?? [], name, walk.variables)
  if (field.args.some(({ name }) => name === 'first')) {
    const size =
      given('first') ?? given('last') ?? field.args.find(({ name }) => name === 'first')?.defaultValue
    // Whatever else it is, the field itself refuses.
    return typeof size === 'number' && size >= 0 ? Math.min(size, itemsMax) : itemsUnstated
  }
  if (!isListType(getNullableType(field.type))) return 1
  // The nodes and edges of a page were counted with the page.
  if ('pageInfo' in siblings) return 1
  const ids = given('transactionIds')
  return Array.isArray(ids) ? Math.min(ids.length, itemsMax) : itemsUnstated
}

function valueOfArgument(nodes: readonly ArgumentNode[], name: string, variables: Variables): unknown {
  const node = nodes.find((each) => each.name.value === name)
  return node === undefined ? undefined : valueOf(node.value, variables)
}

/** The value as far as sizes go: a number, or a list of whatever. */
function valueOf(node: ValueNode, variables: Variables): unknown {
  if (node.kind === Kind.VARIABLE) return variables[node.name.value]
  if (node.kind === Kind.INT) return Number(node.value)
  return node.kind === Kind.LIST ? node.values : undefined
}
