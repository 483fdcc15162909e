/**
 * The call of an SQL function by the names of its parameters, as `name(in_topic => $1, in_partition => $2)`, and its values. So
 * each value stands beside its name, and the order in which the function declares them is no contract.
 *
 * A later release keeps these names and their order: an earlier one, which may run beside it, calls by them.
 */
export function namedCall(
  name: string,
  parameters: Readonly<Record<string, unknown>>,
): { text: string; values: unknown[] } {
  const names = Object.keys(parameters).map((parameter, at) => `${parameter} => $${at + 1}`)
  return { text: `${name}(${names.join(', ')})`, values: Object.values(parameters) }
}
