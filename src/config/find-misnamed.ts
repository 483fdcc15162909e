import { defaults, type Environment, type SettingName } from './settings.ts'

const known = Object.keys(defaults) as SettingName[]

/**
 * A sentence for each variable that is not a setting but is spelled almost like one. Otherwise it would be
 * silently ignored.
 */
export function findMisnamed(environment: Environment): string[] {
  return Object.keys(environment)
    .filter((name) => !(known as string[]).includes(name))
    .flatMap((name) => {
      const meant = nearest(name)
      return meant === null ? [] : [`${name} is not a setting: did you mean ${meant}?`]
    })
}

function nearest(name: string): SettingName | null {
  const [best] = known
    .filter((each) => isTypo(name, each) || isVariant(name, each))
    .sort((a, b) => sharedStart(name, b) - sharedStart(name, a) || distance(name, a) - distance(name, b))
  return best ?? null
}

/**
 * At most two edits, and few compared with the length of the word they are in. The environment holds many
 * names that are not typos: HOME is two edits from HOST, KAFKA_URL two from KAFKA_SSL, and RELEASE two from
 * LEASE.
 */
function isTypo(name: string, setting: string): boolean {
  const [head, tail] = splitFirstWord(name)
  const [settingHead, settingTail] = splitFirstWord(setting)
  if (settingTail === '') return setting.length > 4 && distance(name, setting) <= 1
  const headEdits = distance(head, settingHead)
  const tailEdits = distance(tail, settingTail)
  if (headEdits + tailEdits > 2) return false
  return headEdits <= settingHead.length / 3 && tailEdits <= settingTail.length / 2
}

/**
 * The same word with another ending, such as MAX_RETRY or POSTGRES_PASS. A longer name that continues with
 * another word belongs to another program: KAFKA_BROKER_ID and POSTGRES_HOST_AUTH_METHOD belong to the
 * servers' images.
 */
function isVariant(name: string, setting: string): boolean {
  const [head, tail] = splitFirstWord(name)
  const [settingHead, settingTail] = splitFirstWord(setting)
  if (head !== settingHead || name.startsWith(`${setting}_`)) return false
  const shared = sharedStart(tail, settingTail)
  return shared >= 4 && Math.max(tail.length, settingTail.length) - shared <= 4
}

function splitFirstWord(name: string): [string, string] {
  const at = name.indexOf('_')
  return at === -1 ? [name, ''] : [name.slice(0, at), name.slice(at + 1)]
}

function sharedStart(a: string, b: string): number {
  let length = 0
  while (length < a.length && a[length] === b[length]) length += 1
  return length
}

/** Optimal string alignment: counts letters inserted, dropped, replaced, or swapped with their neighbour. */
function distance(a: string, b: string): number {
  let before: number[] = []
  let previous = Array.from({ length: b.length + 1 }, (_, column) => column)
  for (let row = 1; row <= a.length; row += 1) {
    const current = [row]
    for (let column = 1; column <= b.length; column += 1) {
      const same = a[row - 1] === b[column - 1]
      const swapped = a[row - 1] === b[column - 2] && a[row - 2] === b[column - 1]
      current.push(
        Math.min(
          at(previous, column) + 1,
          at(current, column - 1) + 1,
          at(previous, column - 1) + (same ? 0 : 1),
          swapped ? at(before, column - 2) + 1 : Infinity,
        ),
      )
    }
    before = previous
    previous = current
  }
  return at(previous, b.length)
}

function at(row: readonly number[], column: number): number {
  return row[column] ?? Infinity
}
