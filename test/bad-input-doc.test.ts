import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import ts from 'typescript'

const root = join(import.meta.dirname, '..')
const documented = readFileSync(join(root, 'docs/bad-input.md'), 'utf8')

/** Tests as the document names them: `file` › name, up to the end of a cell, a line break or a full stop at a line's end. */
function citations(text: string): { file: string; name: string }[] {
  return [...text.matchAll(/`(test\/[^`]+)` › (.+?)(?=<br>| \|$|\s+\|\n|\.?\n)/gm)].map(
    ([, file = '', name = '']) => ({
      file,
      // Markdown takes underscores for emphasis.
      name: name.trim().replaceAll('\\_', '_'),
    }),
  )
}

const textsRead = new Map<string, Set<string>>()

/** Every text that stands in the file, as it reads when it runs. */
function textsOf(file: string): Set<string> {
  const read = textsRead.get(file)
  if (read !== undefined) return read
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.ES2023,
    true,
  )
  const texts = new Set<string>()
  const visit = (node: ts.Node) => {
    if (ts.isStringLiteralLike(node)) texts.add(node.text)
    node.forEachChild(visit)
  }
  visit(source)
  textsRead.set(file, texts)
  return texts
}

t.test('every test that docs/bad-input.md names exists', (t) => {
  const cited = citations(documented)
  t.ok(cited.length > 100, `${cited.length} are named`)
  for (const { file, name } of cited) {
    if (!existsSync(join(root, file))) t.fail(`${file} does not exist`)
    else if (!textsOf(file).has(name)) t.fail(`${file} has no test "${name}"`)
  }
  t.end()
})

t.test('every line of its tables names a test', (t) => {
  const lines = documented.split('\n').filter((line) => /^\| (?!-)/.test(line))
  const heads = lines.filter((line) => line.includes('| tests'))
  t.equal(heads.length, 4)
  for (const line of lines.filter((each) => !heads.includes(each))) {
    if (citations(`${line}\n`).length === 0) t.fail(`no test in: ${line}`)
  }
  t.end()
})

t.test('each record and each answer that is tried by name stands in it', (t) => {
  const named = new Set(citations(documented).map(({ file, name }) => `${file} ${name}`))
  for (const file of ['test/flow/bad-records.test.ts', 'test/flow/bad-answers.test.ts']) {
    const rows = rowsOf(file)
    t.ok(rows.length > 30)
    for (const row of rows) if (!named.has(`${file} ${row}`)) t.fail(`${file}: "${row}" is not documented`)
  }
  t.end()
})

/** The first text of each entry of the file's list called rows; entries that are computed are left out. */
function rowsOf(file: string): string[] {
  const source = ts.createSourceFile(
    file,
    readFileSync(join(root, file), 'utf8'),
    ts.ScriptTarget.ES2023,
    true,
  )
  const rows: string[] = []
  source.forEachChild((node) => {
    if (!ts.isVariableStatement(node)) return
    for (const { name, initializer } of node.declarationList.declarations) {
      if (name.getText() !== 'rows' || initializer === undefined || !ts.isArrayLiteralExpression(initializer))
        continue
      for (const entry of initializer.elements) {
        const [first] = ts.isArrayLiteralExpression(entry) ? entry.elements : []
        if (first !== undefined && ts.isStringLiteralLike(first)) rows.push(first.text)
      }
    }
  })
  return rows
}
