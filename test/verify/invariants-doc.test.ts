import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { createInvariants } from '../../src/verify/invariants.ts'

const root = join(import.meta.dirname, '../..')
const documented = readFileSync(join(root, 'docs/invariants.md'), 'utf8')
const [, byCommand = ''] = documented.split('\n## Checked by the command\n')
const sections = byCommand.split('\n## ')[0]!.split('\n### ').slice(1)

t.test('the document has each invariant that the checker prints, in its words, and no other', (t) => {
  const printed = Object.values(createInvariants()).map(({ id, rule }) => `${id}: ${rule}`)
  t.strictSame(
    sections.map((section) => section.split('\n')[0]),
    printed,
  )
  t.end()
})

for (const section of sections) {
  const id = section.split(':')[0]!
  t.test(`${id} says what it means, why, what checks it and what to do`, (t) => {
    for (const label of ['Why', 'Checked by', 'Shown to fail in', 'What to do'])
      t.equal(section.split(`**${label}:**`).length, 2, label)
    const [, after = ''] = section.split('**Checked by:**')
    const [checkers = '', tests = ''] = after.split('**What to do:**')[0]!.split('**Shown to fail in:**')
    t.strictSame(filesIn(checkers), checkersOf(id), 'the files that report a difference')
    t.ok(filesIn(tests).length > 0)
    for (const file of filesIn(tests))
      if (!new RegExp(`\\b${id}: `).test(read(file))) t.fail(`${file} does not show ${id} to fail`)
    t.end()
  })
}

t.test('each file that the document names exists', (t) => {
  const named = [...documented.matchAll(/`((?:src|test)\/[^`]+\.ts)`/g)].map(([, file = '']) => file)
  t.ok(named.length > 40)
  for (const file of new Set(named)) if (!existsSync(join(root, file))) t.fail(`${file} does not exist`)
  t.end()
})

function filesIn(text: string): string[] {
  return [...text.matchAll(/`([^`]+\.ts)`/g)].map(([, file = '']) => file).sort()
}

/** The files of the checker that say of this invariant that it differs. */
function checkersOf(id: string): string[] {
  const reports = new RegExp(`\\b${id}\\.differ\\(|Invariants\\['${id}'\\]`)
  return readdirSync(join(root, 'src/verify'))
    .map((name) => `src/verify/${name}`)
    .filter((file) => reports.test(read(file)))
    .sort()
}

function read(file: string): string {
  return readFileSync(join(root, file), 'utf8')
}
