/** Collects the values of a statement that is put together from parts. Each part adds its values and gets their names. */
export class Parameters {
  readonly values: unknown[] = []

  /** Adds a value and returns its name in the statement, with its SQL type. */
  add(value: unknown, type: string): string {
    this.values.push(value)
    return `$${this.values.length}::${type}`
  }
}
