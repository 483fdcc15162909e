import type { SettingName, Settings } from './settings.ts'

/**
 * A set of status codes, written as codes and classes, such as `429` and `5xx`. Only 300 to 599 are allowed: a 2xx always means an
 * accepted transaction, and a 1xx is not a final answer.
 */
export function readStatuses(settings: Settings, name: SettingName): (statusCode: number) => boolean {
  const codes = new Set<number>()
  const classes = new Set<number>()
  for (const each of settings.text(name).split(',')) {
    const item = each.trim().toLowerCase()
    if (/^[345]\d\d$/.test(item)) codes.add(Number(item))
    else if (/^[345]xx$/.test(item)) classes.add(Number(item[0]))
    else {
      settings.fault(
        `${name} must be a list like 408,429,5xx: codes from 300 to 599 and classes from 3xx to 5xx.`,
      )
      break
    }
  }
  return (statusCode) => codes.has(statusCode) || classes.has(Math.floor(statusCode / 100))
}
