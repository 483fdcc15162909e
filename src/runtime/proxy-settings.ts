const names = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY']

/** The settings of the environment that name a proxy for HTTP, as programs that mind them read them. */
export function findProxySettings(environment: NodeJS.ProcessEnv): string[] {
  return names.flatMap((name) => [name, name.toLowerCase()]).filter((name) => environment[name])
}
