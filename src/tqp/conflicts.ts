/** The records that came with the id of a message and other bytes: each is a message of its own. */
export type Conflicts = {
  readonly conflictCount: number
  /** Without those that are archived; at most 20. */
  readonly conflicts: readonly Conflict[] | null
}

type Conflict = { readonly transactionId: string; readonly payload: { readonly state: string } | null }

/** What is asked of a message for them. */
export const conflictFields = 'conflictCount conflicts(first: 20) { transactionId payload { state } }'

/** How many came, and the ids by which they are found; null if there are none. */
export function listConflicts({ conflictCount, conflicts }: Conflicts): string | null {
  if (conflictCount === 0) return null
  const count = conflictCount === 1 ? '1 record' : `${conflictCount} records`
  return `${count} with this id and other bytes${nameThem(conflicts ?? [], conflictCount)}`
}

/** Whose bytes an expunge of the message leaves where they are; null if there are none. */
export function listKept({ conflictCount, conflicts }: Conflicts): string | null {
  const expunged = (conflicts ?? []).filter(isExpunged).length
  const kept = conflictCount - expunged
  if (kept === 0) return null
  const known = (conflicts ?? []).filter((each) => !isExpunged(each))
  const count =
    kept === 1
      ? '1 conflicting record keeps its bytes until its own id is expunged'
      : `${kept} conflicting records keep their bytes until their own ids are expunged`
  return `${count}${nameThem(known, kept)}`
}

function isExpunged({ payload }: Conflict): boolean {
  return payload?.state === 'EXPUNGED'
}

function nameThem(known: readonly Conflict[], count: number): string {
  const ids = known.map(({ transactionId }) => transactionId)
  if (count > ids.length) ids.push(ids.length === 0 ? 'archived' : `and ${count - ids.length} more`)
  return `: ${ids.join(', ')}`
}
