/**
 * Makes dist/console/console.html: one file with the script and the style in it, so that the service has one page to serve and a policy
 * can name both by their hash. Does nothing where it is made already of the same sources and the same packages.
 */
import { createHash } from 'node:crypto'
import { mkdir, readdir, readFile, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const source = fileURLToPath(new URL('.', import.meta.url))
const target = fileURLToPath(new URL('../dist/console/', import.meta.url))
const page = join(target, 'console.html')

const hash = await hashSources()
if (!(await readFile(page, 'utf8').catch(() => '')).startsWith(stamp(hash))) await build()

async function hashSources() {
  const names = (await readdir(source, { recursive: true })).filter((name) => /\.\w+$/.test(name)).sort()
  const lock = await readFile(join(source, '../package-lock.json'))
  const sum = createHash('sha256').update(lock)
  for (const name of names) sum.update(name).update(await readFile(join(source, name)))
  return sum.digest('hex').slice(0, 32)
}

function stamp(hash) {
  return `<!doctype html><!-- ${hash} -->\n`
}

async function build() {
  // Only where it is needed: loading it takes longer than finding out that nothing changed.
  const esbuild = await import('esbuild')
  const { outputFiles } = await esbuild.build({
    entryPoints: [join(source, 'main.tsx'), join(source, 'styles.css')],
    outdir: target,
    bundle: true,
    minify: true,
    write: false,
    format: 'iife',
    charset: 'utf8',
    // What the browsers of 2022 on understand.
    target: 'es2022',
    jsx: 'automatic',
    jsxImportSource: 'preact',
    legalComments: 'none',
  })
  const find = (ending) => outputFiles.find(({ path }) => path.endsWith(ending)).text.trim()
  const html = (await readFile(join(source, 'index.html'), 'utf8'))
    .replace('<!doctype html>\n', () => stamp(hash))
    .replace('/* style */', () => find('.css'))
    // A script ends at the first end tag, wherever in it that stands.
    .replace('/* script */', () => find('.js').replaceAll('</script', '<\\/script'))
  await mkdir(target, { recursive: true })
  // Several may build at once: each writes a file of its own, and the last whole one stays.
  const draft = `${page}.${process.pid}`
  await writeFile(draft, html)
  await rename(draft, page)
}
