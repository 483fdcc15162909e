/** Names, which PostgreSQL gives beside its message. Its detail, hint and where are left out: they quote rows and parameters. */
const shown = ['code', 'severity', 'schema', 'table', 'column', 'constraint', 'routine'] as const

/**
 * What the service's log may say of an error: its kind, its text and where it was thrown, and no field that may hold a part of
 * a transaction. What PostgreSQL says beyond that stands in PostgreSQL's own log.
 */
export function describeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: String(error) }
  const told: Record<string, unknown> = { type: error.constructor.name, message: withoutValues(error) }
  for (const name of shown) {
    const value = (error as unknown as Record<string, unknown>)[name]
    if (typeof value === 'string') told[name] = value
  }
  told.stack = error.stack?.replace(error.message, () => withoutValues(error))
  if (error.cause !== undefined) told.cause = describeError(error.cause)
  return told
}

/** A message of PostgreSQL's class 22, data exception, quotes the value that it refuses; others quote names. */
function withoutValues(error: Error): string {
  const isAboutData = 'severity' in error && 'code' in error && /^22/.test(String(error.code))
  return isAboutData ? error.message.replace(/".*"/gs, '"…"') : error.message
}
