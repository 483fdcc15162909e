import { endpoint } from './endpoint.ts'
import type { Operation } from './operations.ts'
import { token } from './session.ts'

/** A command for a POSIX shell that asks the same. The token is left to the shell: what is copied gets pasted into tickets. */
export function writeCurl<Result, Variables>(
  { name, text }: Operation<Result, Variables>,
  variables: Variables,
): string {
  const body = JSON.stringify({ operationName: name, query: text, variables })
  return [
    `curl -sS ${quote(endpoint.href)}`,
    ...(token.value === null ? [] : ['-H "Authorization: Bearer $TQP_TOKEN"']),
    `-H 'Content-Type: application/json'`,
    `-d ${quote(body)}`,
  ].join(' \\\n  ')
}

/** Inert in a shell, whatever stands in it. */
function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`
}
