import { computed, signal } from '@preact/signals'

/** Where the reader is: the part of the address behind `#/`, so that the service has one page to serve. */
export type Place = {
  readonly page: string
  /** What the page is about, such as a transaction id; empty if it is about all. */
  readonly subject: string
  readonly search: URLSearchParams
}

const hash = signal(location.hash)
addEventListener('hashchange', () => {
  hash.value = location.hash
})

export const place = computed<Place>(() => {
  const [path = '', search = ''] = hash.value.replace(/^#\/?/, '').split(/\?(.*)/s)
  const [page = '', ...rest] = path.split('/')
  return { page, subject: decode(rest.join('/')), search: new URLSearchParams(search) }
})

/** An address inside the console. Empty values are left out. */
export function link(
  page: string,
  subject = '',
  search: Readonly<Record<string, string | null | undefined>> = {},
): string {
  const given = Object.entries(search).filter((each): each is [string, string] => !!each[1])
  const query = new URLSearchParams(given).toString()
  return `#/${page}${subject === '' ? '' : `/${encodeURIComponent(subject)}`}${query === '' ? '' : `?${query}`}`
}

export function go(address: string): void {
  location.hash = address
}

/** What somebody typed into the address may be no percent-encoding. */
function decode(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
