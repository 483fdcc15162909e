import { once } from 'node:events'
import { get, type IncomingMessage } from 'node:http'

/**
 * Whether what listens there says that it is well. Asked by an agent of its own: with NODE_USE_ENV_PROXY set, `fetch` asks the proxy of the
 * environment for this machine too.
 */
export async function isHealthy(host: string, port: number): Promise<boolean> {
  const request = get({ host, port, path: '/health', agent: false })
  const [response] = (await once(request, 'response')) as [IncomingMessage]
  response.resume()
  return response.statusCode === 200
}
