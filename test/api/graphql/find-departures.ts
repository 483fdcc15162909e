import {
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isObjectType,
  isSpecifiedDirective,
  isSpecifiedScalarType,
  isIntrospectionType,
  isUnionType,
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLInputField,
  type GraphQLNamedType,
  type GraphQLSchema,
} from 'graphql'

type Described = { name: string; description?: string | null | undefined }

/**
 * What the contract names and the schema has not, or has with another type, nullability, default or without the contract's words;
 * one sentence each. What the schema has beside it is its own affair.
 */
export function findDepartures(contract: GraphQLSchema, schema: GraphQLSchema): string[] {
  const types = Object.values(contract.getTypeMap())
    .filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type))
    .flatMap((type) => compareTypes(type, schema.getType(type.name)))
  const directives = contract
    .getDirectives()
    .filter((each) => !isSpecifiedDirective(each) && schema.getDirective(each.name) === undefined)
  return [...types, ...directives.map(({ name }) => `@${name} is missing`)]
}

function compareTypes(wanted: GraphQLNamedType, found: GraphQLNamedType | undefined): string[] {
  if (found?.constructor !== wanted.constructor)
    return [found === undefined ? `${wanted.name} is missing` : `${wanted.name} is of another kind`]
  const words = compareWords(wanted.name, wanted, found)
  if (isEnumType(wanted) && isEnumType(found))
    return [...words, ...compareNames(wanted.name, wanted.getValues(), found.getValues())]
  if (isUnionType(wanted) && isUnionType(found))
    return [...words, ...compareNames(wanted.name, wanted.getTypes(), found.getTypes())]
  if (isInputObjectType(wanted) && isInputObjectType(found))
    return [...words, ...compareFields(wanted.name, wanted.getFields(), found.getFields())]
  if (!(isObjectType(wanted) || isInterfaceType(wanted)) || !(isObjectType(found) || isInterfaceType(found)))
    return words
  return [
    ...words,
    ...compareNames(wanted.name, wanted.getInterfaces(), found.getInterfaces()),
    ...compareFields(wanted.name, wanted.getFields(), found.getFields()),
  ]
}

type Field = GraphQLField<unknown, unknown> | GraphQLInputField | GraphQLArgument

function compareFields(
  type: string,
  wanted: Readonly<Record<string, Field>>,
  found: Readonly<Record<string, Field>>,
): string[] {
  return Object.values(wanted).flatMap((field) =>
    compareField(`${type}.${field.name}`, field, found[field.name]),
  )
}

function compareField(name: string, wanted: Field, found: Field | undefined): string[] {
  if (found === undefined) return [`${name} is missing`]
  const faults = compareWords(name, wanted, found)
  if (String(found.type) !== String(wanted.type))
    faults.push(`${name} is ${String(found.type)} and should be ${String(wanted.type)}`)
  if ('defaultValue' in wanted && 'defaultValue' in found && found.defaultValue !== wanted.defaultValue)
    faults.push(
      `${name} is ${String(found.defaultValue)} unless given, and should be ${String(wanted.defaultValue)}`,
    )
  if (!('args' in wanted) || !('args' in found)) return faults
  const byName = new Map(found.args.map((each) => [each.name, each]))
  return [
    ...faults,
    ...wanted.args.flatMap((each) => compareField(`${name}(${each.name})`, each, byName.get(each.name))),
  ]
}

function compareNames(type: string, wanted: readonly Described[], found: readonly Described[]): string[] {
  return wanted
    .filter(({ name }) => !found.some((each) => each.name === name))
    .map(({ name }) => `${type}: ${name} is missing`)
}

/** Each sentence of the contract must be in the description; it may go on there, and more may stand around it. */
function compareWords(name: string, wanted: Described, found: Described): string[] {
  const words = flow(found.description)
  const missing = flow(wanted.description)
    .split(/\.(?: |$)/)
    .filter((sentence) => !words.includes(sentence))
  return missing.map((sentence) => `${name} does not say: ${sentence}.`)
}

function flow(text: string | null | undefined): string {
  return (text ?? '').replace(/\s+/g, ' ').trim()
}
