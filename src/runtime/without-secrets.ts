/** A URL as everyone may see it. Its query may hold a key as well. */
export function withoutSecrets(url: URL): string {
  return `${url.origin}${url.pathname}`
}
