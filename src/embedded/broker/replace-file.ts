import { renameSync, writeFileSync } from 'node:fs'

/**
 * Replaces the content of the file at `path` in one step: every reader, even after a crash, sees either the
 * old text or the new.
 */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
