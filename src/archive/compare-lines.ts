import { createHash } from 'node:crypto'
import { ArchiveFault, blameArchive } from './archive-folder.ts'
import { readLinesOf } from './read-lines-of.ts'

/**
 * Reads the events of an archive back from disk, and compares each line with the database.
 *
 * @param lines what the database holds, in order, in pieces
 * @param sha256 what the manifest says of all lines
 * @throws ArchiveFault at the first line that differs
 */
export async function compareLines(
  path: string,
  lines: AsyncIterable<string[]>,
  sha256: string,
): Promise<void> {
  const archived = readLinesOf(path)
  const hash = createHash('sha256')
  let compared = 0
  const differ = (what: string): ArchiveFault => new ArchiveFault(`${path}: ${what}.`)
  for await (const piece of lines) {
    for (const line of piece) {
      const next = await blameArchive(path, () => archived.next())
      compared++
      if (next.done === true) throw differ(`it ends before line ${compared}, which the database has`)
      if (next.value !== line) throw differ(`line ${compared} is not what the database holds`)
      hash.update(`${line}\n`)
    }
  }
  if ((await blameArchive(path, () => archived.next())).done !== true)
    throw differ(`it has more lines than the ${compared} in the database`)
  if (hash.digest('hex') !== sha256) throw differ('its lines do not have the SHA-256 in the manifest')
}
