import { fileURLToPath } from 'node:url'

const root = new URL('../../', import.meta.url)

/**
 * What Node is told to run a program of src/ as a process of its own: `main`, `embedded/mock`. The gate builds first and says so
 * in TEST_BUILT; what is compiled then is what ships, and starts in half the time. Without that word it is the source, which a
 * build may be behind.
 */
export function program(name: string): string[] {
  if (process.env.TEST_BUILT) return ['--enable-source-maps', fileURLToPath(new URL(`dist/${name}.js`, root))]
  return ['--import', import.meta.resolve('tsx'), fileURLToPath(new URL(`src/${name}.ts`, root))]
}
