import { fileURLToPath } from 'node:url'

/**
 * What Node is told to run a program of ours, `embedded/mock` or `commands/archive`, as a process of its own. Built programs are .js. In a
 * checkout they are .ts and run through tsx, as this process does.
 */
export function programArguments(program: string): string[] {
  const url = new URL(`../${program}`, import.meta.url)
  if (import.meta.url.endsWith('.js')) return ['--enable-source-maps', `${fileURLToPath(url)}.js`]
  return ['--import', import.meta.resolve('tsx'), `${fileURLToPath(url)}.ts`]
}
