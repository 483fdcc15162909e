import { createHash, scrypt } from 'node:crypto'
import { promisify } from 'node:util'
import { defaults, type Environment, type SettingName } from './settings.ts'

/** Settings that are a secret, or may hold one, as the query of a URL may. */
export const secretSettings: ReadonlySet<SettingName> = new Set<SettingName>([
  'KAFKA_SASL_USERNAME',
  'KAFKA_SASL_PASSWORD',
  'DATABASE_URL',
  'POSTGRES_USER',
  'POSTGRES_PASSWORD',
  'LISTEN_DATABASE_URL',
  'MIGRATE_DATABASE_URL',
  'DOWNSTREAM_URL',
  'DOWNSTREAM_HEADERS',
  'STATUS_URL',
  'API_TOKENS',
  'OTEL_EXPORTER_OTLP_ENDPOINT',
  'OTEL_EXPORTER_OTLP_TRACES_ENDPOINT',
  'OTEL_EXPORTER_OTLP_HEADERS',
  'OTEL_EXPORTER_OTLP_TRACES_HEADERS',
])

const digits = 12
const hashSlowly = promisify<string, string, number, { cost: number; blockSize: number }, Buffer>(scrypt)
// 16 MiB and 30 ms of a core for each guess (measured).
const slowness = { cost: 16_384, blockSize: 8 }

/**
 * Every setting as it is in force, by name, as a hash that says whether it is the same as another time and nothing else. Secrets are hashed
 * slowly and with a salt, and all hashes are cut: a password that can be guessed is not found out from here by a list of common ones at the
 * speed of a plain hash, and of one that cannot be guessed 48 bits say nothing.
 *
 * @param salt the same whenever hashes are to be compared
 */
export async function hashSettings(environment: Environment, salt: string): Promise<Record<string, string>> {
  const hashes = (Object.keys(defaults) as SettingName[]).map(async (name) => {
    const given = environment[name] || null
    const text = given ?? defaults[name]
    // What nobody has set is no secret.
    const isSecret = given !== null && secretSettings.has(name)
    return [name, isSecret ? await hashSecret(name, text, salt) : hashOpenly(text)] as const
  })
  return Object.fromEntries(await Promise.all(hashes))
}

async function hashSecret(name: string, text: string, salt: string): Promise<string> {
  const bytes = await hashSlowly(text, `${salt}:${name}`, digits / 2, slowness)
  return bytes.toString('hex')
}

function hashOpenly(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, digits)
}
