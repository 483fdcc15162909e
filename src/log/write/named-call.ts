/**
 * Writes the call of an SQL function by the names of its parameters: `name(in_topic => $1, in_partition => $2)`. Each value stands
 * beside its name, so the order in which the function declares its parameters does not matter here.
 *
 * @param parameters the values by name, always in the same order, so that a prepared statement keeps its text
 */
export function namedCall(
  name: string,
  parameters: Readonly<Record<string, unknown>>,
): { text: string; values: unknown[] } {
  const names = Object.keys(parameters).map((parameter, at) => `${parameter} => $${at + 1}`)
  return { text: `${name}(${names.join(', ')})`, values: Object.values(parameters) }
}
