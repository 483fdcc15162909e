/**
 * SQL that prints a timestamptz column as RFC 3339 in UTC with six digits, such as 2024-11-22T10:30:00.000123Z. PostgreSQL
 * prints it, because a JavaScript Date has milliseconds only.
 *
 * @param column a name from our own source, never text from outside
 */
export function rfc3339(column: string): string {
  return `to_char(${column} at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"')`
}
