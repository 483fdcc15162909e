import { isLoopback } from '../runtime/is-loopback.ts'
import type { Environment } from './settings.ts'

const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'].flatMap((name) => [name, name.toLowerCase()])

/**
 * The environment's proxy variables. This service does not use them: payments go to the processor directly.
 * Empty if the processor is on this machine, because no proxy is used for that.
 *
 * @param processor null for the embedded mock; a text that is not a URL is reported elsewhere
 */
export function findUnusedProxies(environment: Environment, processor: string | null): string[] {
  if (processor === null || !URL.canParse(processor) || isLoopback(new URL(processor).hostname)) return []
  return names.filter((name) => environment[name])
}
