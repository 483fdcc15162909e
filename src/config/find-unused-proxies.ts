import { isLoopback } from '../runtime/is-loopback.ts'
import type { Environment } from './settings.ts'

const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()])

/**
 * The variables that name a proxy for programs that mind them, which this one does not: payments go to the processor and nowhere
 * else. None where the processor is on this machine, which no proxy stands before.
 *
 * @param processor null for the embedded mock; a text that is no URL is a fault that is told elsewhere
 */
export function findUnusedProxies(environment: Environment, processor: string | null): string[] {
  if (processor === null || !URL.canParse(processor) || isLoopback(new URL(processor).hostname)) return []
  return names.filter((name) => environment[name])
}
