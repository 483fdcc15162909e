import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'

/**
 * Whether the server there reports that it is healthy. Uses its own agent: with NODE_USE_ENV_PROXY set,
 * `fetch` would ask the environment's proxy even for this machine.
 */
export async function isHealthy(host: string, port: number): Promise<boolean> {
  const request = get({ host, port, path: '/health', agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode === 200
}
