import { readFileSync } from 'node:fs'
import { parse } from 'yaml'

/** As docker-compose.yml has it: what is named here is all that the tests read. */
export type ComposeFile = { services: Record<string, ComposeFileService>; volumes: Record<string, unknown> }

export type ComposeFileService = {
  image: string
  /** Without one it is always started. */
  profiles?: string[]
  build?: string
  command?: string[]
  environment?: Record<string, string | number>
  ports: string[]
  volumes: string[]
  depends_on?: Record<string, { condition: string }>
  healthcheck: { test: string[]; interval: string; timeout: string; retries?: number; start_period?: string }
  stop_grace_period?: string
  init?: boolean
  read_only?: boolean
  tmpfs?: string[]
  cap_drop?: string[]
  security_opt?: string[]
  logging: { driver: string; options: Record<string, string> }
}

export function readComposeFile(): ComposeFile {
  return parse(readFileSync(new URL('../../docker-compose.yml', import.meta.url), 'utf8')) as ComposeFile
}
