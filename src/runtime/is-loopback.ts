import { isIPv4 } from 'node:net'

/** Whether only this machine reaches the address: `localhost`, ::1 (in brackets too, as a URL has it), or one of 127.0.0.0/8. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || ['::1', '[::1]'].includes(host) || (isIPv4(host) && host.startsWith('127.'))
}
