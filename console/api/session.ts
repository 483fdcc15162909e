import { computed, signal } from '@preact/signals'
import type { ViewerResult } from './operations.ts'

// Of this tab of the browser, and gone with it.
const tokenKey = 'console:token'

/** The token that every request carries; null where none was given. */
export const token = signal<string | null>(sessionStorage.getItem(tokenKey))

/** Who asks; null until the API has said so. */
export const viewer = signal<ViewerResult['viewer'] | null>(null)

/** Why the API refuses to answer without another token, in its own words; null while it answers. */
export const refusedToken = signal<string | null>(null)

/** Whether actions are shown at all: what one may not do is not there. */
export const mayDecide = computed(() => viewer.value?.role === 'OPERATOR')

/** Whether payloads, keys and values of headers are offered. Whoever looks at them is recorded. */
export const maySeeBytes = computed(() => viewer.value !== null && viewer.value.role !== 'VIEWER')

/** Takes a token, with or without the word that goes before it in a header. */
export function giveToken(given: string): void {
  const bare = given.trim().replace(/^Bearer +/i, '')
  sessionStorage.setItem(tokenKey, bare)
  // Whose it is, only the API can say.
  viewer.value = null
  token.value = bare
  refusedToken.value = null
}

export function forgetToken(): void {
  sessionStorage.removeItem(tokenKey)
  viewer.value = null
  token.value = null
}

export function credentials(): Readonly<Record<string, string>> {
  return token.value === null ? {} : { Authorization: `Bearer ${token.value}` }
}
