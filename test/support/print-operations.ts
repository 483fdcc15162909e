import { readdir, readFile } from 'node:fs/promises'
import {
  getNamedType,
  isEnumType,
  isInputObjectType,
  isListType,
  isNonNullType,
  Kind,
  OperationTypeNode,
  parse,
  print,
  typeFromAST,
  TypeInfo,
  validate,
  visit,
  visitWithTypeInfo,
  type FieldNode,
  type GraphQLOutputType,
  type GraphQLInputType,
  type OperationDefinitionNode,
} from 'graphql'
import { format, resolveConfig } from 'prettier'
import { schema } from '../../src/api/graphql/schema.ts'

const folder = new URL('../../console/api/operations/', import.meta.url)
export const operationsFile = new URL('../../console/api/operations.ts', import.meta.url)

const head = `// Printed from console/api/operations/*.graphql and the schema by \`npm run schema\`; do not edit.

/** What the API is asked, with the types of what goes in and comes out. */
export type Operation<Result, Variables> = {
  readonly name: string
  readonly text: string
  /** Never there: it carries the types. */
  readonly types?: (variables: Variables) => Result
}

`

/** Everything that the console asks the API, each operation with its types, as TypeScript. @throws if the schema does not know it */
export async function printOperations(): Promise<string> {
  const parts = [head]
  for (const name of (await readdir(folder)).sort()) {
    const document = parse(await readFile(new URL(name, folder), 'utf8'))
    for (const definition of document.definitions) {
      if (definition.kind !== Kind.OPERATION_DEFINITION) throw new Error(`${name} has more than operations`)
      const [fault] = validate(schema, { kind: Kind.DOCUMENT, definitions: [definition] })
      if (fault !== undefined) throw new Error(`${name}: ${fault.message}`)
      parts.push(printOperation(definition))
    }
  }
  const config = await resolveConfig(operationsFile)
  return format(parts.join('\n'), { ...config, parser: 'typescript' })
}

function printOperation(operation: OperationDefinitionNode): string {
  const name = operation.name?.value ?? ''
  const variables = (operation.variableDefinitions ?? []).map(({ variable, type }) => {
    const input = typeFromAST(schema, type as never) as GraphQLInputType
    return `readonly ${variable.name.value}${isNonNullType(input) ? '' : '?'}: ${printType(input, '')}`
  })
  const constant = name.slice(0, 1).toLowerCase() + name.slice(1)
  return `export type ${name}Result = ${printFields(operation)}
export type ${name}Variables = ${variables.length === 0 ? 'Record<string, never>' : `{ ${variables.join('; ')} }`}
export const ${constant}${operation.operation === OperationTypeNode.MUTATION ? 'Mutation' : 'Operation'}: Operation<${name}Result, ${name}Variables> = {
  name: '${name}',
  text: ${JSON.stringify(print(operation))},
}
`
}

/** A field of a fragment is there only where the object is of its type. */
function printFields(operation: OperationDefinitionNode): string {
  const info = new TypeInfo(schema)
  const types = new Map<FieldNode, GraphQLOutputType>()
  visit(
    operation,
    visitWithTypeInfo(info, {
      Field: (node) => {
        const type = info.getType()
        if (type) types.set(node, type)
      },
    }),
  )
  const write = (set: OperationDefinitionNode['selectionSet'], optional: boolean): string[] => [
    // The same field of two fragments is one field.
    ...new Set(writeEach(set, optional)),
  ]
  const writeEach = ({ selections }: OperationDefinitionNode['selectionSet'], optional: boolean): string[] =>
    selections.flatMap((selection) => {
      if (selection.kind === Kind.INLINE_FRAGMENT) return write(selection.selectionSet, true)
      if (selection.kind === Kind.FRAGMENT_SPREAD) throw new Error('named fragments are not printed')
      const type = types.get(selection)
      if (type === undefined) throw new Error(selection.name.value)
      const inner =
        selection.selectionSet === undefined ? '' : `{ ${write(selection.selectionSet, false).join('; ')} }`
      const name = (selection.alias ?? selection.name).value
      return [`readonly ${name}${optional ? '?' : ''}: ${printType(type, inner)}`]
    })
  return `{ ${write(operation.selectionSet, false).join('; ')} }`
}

function printType(type: GraphQLOutputType | GraphQLInputType, inner: string): string {
  if (isNonNullType(type)) return printNonNull(type.ofType, inner)
  return `${printNonNull(type, inner)} | null`
}

function printNonNull(type: GraphQLOutputType | GraphQLInputType, inner: string): string {
  if (isListType(type)) return `readonly (${printType(type.ofType, inner)})[]`
  if (inner !== '') return inner
  const named = getNamedType(type)
  if (isInputObjectType(named)) {
    const fields = Object.values(named.getFields()).map(
      (field) =>
        `readonly ${field.name}${isNonNullType(field.type) ? '' : '?'}: ${printType(field.type, '')}`,
    )
    return `{ ${fields.join('; ')} }`
  }
  if (isEnumType(named))
    return named
      .getValues()
      .map(({ name }) => `'${name}'`)
      .join(' | ')
  return { Int: 'number', Float: 'number', Boolean: 'boolean', JSON: 'unknown' }[named.name] ?? 'string'
}
