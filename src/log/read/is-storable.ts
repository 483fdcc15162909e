/** Whether a text can stand in PostgreSQL as it is: no NUL, and no half of a surrogate pair, which would become another text. */
export function isStorable(text: string): boolean {
  return !/[\0\p{Cs}]/u.test(text)
}
