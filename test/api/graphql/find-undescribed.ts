import {
  isEnumType,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
  isSpecifiedScalarType,
  type GraphQLSchema,
} from 'graphql'

type Described = { name: string; description?: string | null | undefined }

/** The coordinates of each type, field, argument and enum value that has no description. */
export function findUndescribed(schema: GraphQLSchema): string[] {
  return Object.values(schema.getTypeMap())
    .filter((type) => !isIntrospectionType(type) && !isSpecifiedScalarType(type))
    .flatMap((type) => {
      const found = missing('', [type])
      if (isEnumType(type)) return [...found, ...missing(`${type.name}.`, type.getValues())]
      if (isInputObjectType(type))
        return [...found, ...missing(`${type.name}.`, Object.values(type.getFields()))]
      if (!isObjectType(type) && !isInterfaceType(type)) return found
      const fields = Object.values(type.getFields())
      const args = fields.flatMap((field) => missing(`${type.name}.${field.name}:`, field.args))
      return [...found, ...missing(`${type.name}.`, fields), ...args]
    })
}

function missing(prefix: string, all: readonly Described[]): string[] {
  return all.filter(({ description }) => !description?.trim()).map(({ name }) => `${prefix}${name}`)
}
