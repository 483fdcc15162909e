import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import type { ApiDependencies } from '../src/api/api-dependencies.ts'
import { routes } from '../src/api/routes.ts'

const root = join(import.meta.dirname, '..')
const readme = readFileSync(join(root, 'README.md'), 'utf8')

t.test('the README has one page', (t) => {
  t.ok(readme.trimEnd().split('\n').length <= 150)
  t.end()
})

t.test('the README leads to every document', (t) => {
  for (const name of readdirSync(join(root, 'docs')).filter((each) => each.endsWith('.md')))
    t.ok(readme.includes(`](docs/${name})`), name)
  t.end()
})

t.test('the README and docs/api.md list every route in one table each', (t) => {
  // Nothing of them is used before somebody asks.
  const table = routes({} as ApiDependencies).filter(({ path }) => path !== '/')
  for (const text of [readme, readFileSync(join(root, 'docs/api.md'), 'utf8')]) {
    const listing = /^\| route \|.*\n(?:\|.*\n)+/m.exec(text)?.[0] ?? ''
    for (const { method, path } of table)
      t.match(listing, new RegExp(`\`${method} ${path.replace(/[{}]/g, '\\$&')}[?\`]`), path)
  }
  t.end()
})

t.test(
  'each program that npx starts is made executable by the build: npx does so only when it first links the folder',
  (t) => {
    const { bin, scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
      bin: Record<string, string>
      scripts: { build: string }
    }
    t.ok(bin.tqp)
    for (const path of Object.values(bin)) t.match(scripts.build, `chmod +x ${path}`)
    t.end()
  },
)
