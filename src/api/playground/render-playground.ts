import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { Worker } from 'node:worker_threads'
import { hashSource, packPage, type Page } from '../page/page.ts'

export type PlaygroundOptions = {
  readonly title: string
  readonly beginQuery: string
  readonly examples: readonly { readonly name: string; readonly query: string }[]
}

/** @param options what the page's script is told, as JSON */
export async function renderPlayground(options: PlaygroundOptions): Promise<Page> {
  // A browser reads line ends so, and the hash of a script is of what it reads.
  const page = (await addOurs(await renderApart({ title: options.title }), options))
    .trim()
    .replace(/\r\n?/g, '\n')
  return packPage(page, writePolicy(findScript(page)))
}

/**
 * Renders in a thread of its own: loading GraphiQL's source stops the one that delivers for 150 ms, and would hold 35 MB of its heap
 * for ever (measured). The thread's program is text, because a file of ours would have to be compiled before it can be one.
 */
async function renderApart(options: object): Promise<string> {
  const program = `
    const { parentPort, workerData } = require('node:worker_threads')
    import(workerData.module).then(
      ({ renderGraphiQL }) => parentPort.postMessage(renderGraphiQL(workerData.options)),
      (error) => setImmediate(() => { throw error }),
    )`
  const workerData = { module: import.meta.resolve('@graphql-yoga/render-graphiql'), options }
  return new Promise((resolve, reject) => {
    new Worker(program, { eval: true, workerData })
      .once('message', resolve)
      .once('error', reject)
      .once('exit', () => reject(new Error('the page was not rendered')))
  })
}

/** Has our own script start GraphiQL, with the client of its streams beside it. */
async function addOurs(page: string, options: PlaygroundOptions): Promise<string> {
  const client = join(
    dirname(fileURLToPath(import.meta.resolve('graphql-sse/package.json'))),
    'umd/graphql-sse.min.js',
  )
  const [library, script] = await Promise.all([
    readFile(client, 'utf8'),
    readFile(new URL('./page.js', import.meta.url), 'utf8'),
  ])
  const start = `${library}
        ${script.replace(/^export /m, '').replace(/^\/\/# sourceMappingURL=.*$/m, '')}
        startPlayground(
          document.querySelector('#root'),
          YogaGraphiQL.renderYogaGraphiQL,
          ${JSON.stringify(options).replaceAll('<', '\\u003c')},
        );
      `
  const from = page.lastIndexOf('YogaGraphiQL.renderYogaGraphiQL(')
  const to = page.indexOf('</script>', from)
  const head = page.indexOf('</head>')
  const body = page.slice(head, from).replace(editorApi, '$1true')
  if (from < 0 || !editorApi.test(page.slice(head, from)))
    throw new Error('the page of GraphiQL is not what it was')
  return `${page.slice(0, head)}${styles}${body}${start}${page.slice(to)}`
}

/** So that a variable can be put into its editor. */
const editorApi = /(self\['MonacoEnvironment'\] = \{\s*globalAPI: )false/

/**
 * GraphiQL's library of movement leaves a transform on the tabs, which its style takes away from those without the focus: a click gives
 * the focus, the tab jumps away from under the pointer, and the click is lost.
 */
const styles = `
      <style>
        .graphiql-tab { transform: none !important; }
        .playground-heading { display: flex; align-items: center; gap: 8px; white-space: nowrap; }
        .playground-heading > :is(span, input, button) { font-size: 12px; }
        .playground-heading > input { width: 120px; }
        .playground-heading > :is(input, button) { padding: 2px 6px; border: 1px solid currentColor; border-radius: 4px; }
      </style>
    `

function findScript(page: string): string {
  const from = page.indexOf('<script>') + '<script>'.length
  const to = page.indexOf('</script>', from)
  return page.slice(from, to)
}

/**
 * The page's one script and no other, and no host but this one. The editor writes its styles as it runs, and runs its workers
 * from blobs that the script makes.
 */
function writePolicy(script: string): string {
  return [
    `default-src 'none'`,
    `script-src ${hashSource(script)}`,
    `worker-src blob:`,
    `connect-src 'self'`,
    `style-src 'unsafe-inline'`,
    `img-src data:`,
    `font-src data:`,
    `base-uri 'none'`,
    `form-action 'none'`,
    `frame-ancestors 'none'`,
  ].join('; ')
}
