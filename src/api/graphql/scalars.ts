import { GraphQLError, Kind, valueFromASTUntyped, type ValueNode } from 'graphql'
import { builder } from './builder.ts'
import { normalizeDateTime } from '../../runtime/date-time.ts'

builder.scalarType('DateTime', {
  description:
    'RFC 3339 with a zone, printed in UTC with microseconds. Kept as a string end to end: a JavaScript Date would lose them.',
  specifiedByURL: 'https://www.rfc-editor.org/rfc/rfc3339',
  parseValue: parseDateTime,
  parseLiteral: (node) => parseDateTime(node.kind === Kind.STRING ? node.value : null),
  serialize: (value) => value,
})

builder.scalarType('BigInt', {
  description: 'A 64-bit integer as a decimal string; as input a string or an integer literal.',
  parseValue: parseBigInt,
  parseLiteral: (node) =>
    parseBigInt(node.kind === Kind.INT || node.kind === Kind.STRING ? node.value : null),
  serialize: (value) => value,
})

builder.scalarType('JSON', {
  description: 'Any JSON value: an object, an array, a string, a number, true, false or null.',
  parseValue: (value) => value,
  parseLiteral: (node: ValueNode, variables) => valueFromASTUntyped(node, variables),
  serialize: (value) => value,
})

function parseDateTime(value: unknown): string {
  const instant = typeof value === 'string' ? normalizeDateTime(value) : null
  if (instant !== null) return instant
  throw new GraphQLError('A DateTime is RFC 3339 with a zone, such as "2026-11-24T03:00:00Z".')
}

const int64 = { min: -(2n ** 63n), max: 2n ** 63n - 1n }

function parseBigInt(value: unknown): string {
  // A number beyond 2^53 has lost digits before it came here.
  const text = typeof value === 'number' && Number.isSafeInteger(value) ? String(value) : value
  if (typeof text === 'string' && /^-?\d{1,19}$/.test(text)) {
    const number = BigInt(text)
    if (number >= int64.min && number <= int64.max) return number.toString()
  }
  throw new GraphQLError('A BigInt is a 64-bit integer in decimal digits, as a string or an integer literal.')
}
