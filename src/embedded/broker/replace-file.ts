import { renameSync, writeFileSync } from 'node:fs'

/** Puts `text` into the file at `path` in one step: whoever looks, even after a crash, sees the old text or the new. */
export function replaceFile(path: string, text: string): void {
  writeFileSync(`${path}.new`, text)
  renameSync(`${path}.new`, path)
}
