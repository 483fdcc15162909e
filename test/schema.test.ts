import { readFile } from 'node:fs/promises'
import t from 'tap'
import { decode } from '../src/ingest/decode.ts'
import { schema as graphqlSchema } from '../src/api/graphql/schema.ts'
import { findUndescribed } from './api/graphql/find-undescribed.ts'
import { database } from './support/database.ts'
import { operationsFile, printOperations } from './support/print-operations.ts'
import {
  editionFile,
  graphqlFile,
  printEdition,
  printGraphql,
  printSchema,
  schemaFile,
  settingsFile,
} from './support/print-schema.ts'
import { printSettings } from './support/print-settings.ts'

t.test('schema/database.sql is what the migrations make (npm run schema prints it)', async (t) => {
  const { pool } = await database(t)
  t.equal(await printSchema(pool), await readFile(schemaFile, 'utf8'))
})

t.test(
  'migrations/functions/edition.json counts the texts beside it (npm run schema counts on)',
  async (t) => {
    t.equal(await printEdition(), await readFile(editionFile, 'utf8'))
  },
)

t.test('schema/record.schema.json accepts the identities that decode accepts, and no others', async (t) => {
  const text = await readFile(new URL('../schema/record.schema.json', import.meta.url), 'utf8')
  const schema = JSON.parse(text) as {
    $schema: string
    type: string
    required: string[]
    properties: { transaction_id: { type: string; minLength: number; maxLength: number; pattern: string } }
  }
  t.match(schema, {
    $schema: 'https://json-schema.org/draft/2020-12/schema',
    type: 'object',
    required: ['transaction_id'],
  })
  const { minLength, maxLength, pattern } = schema.properties.transaction_id
  const fits = (value: unknown): boolean => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return false
    const id: unknown = (value as Record<string, unknown>).transaction_id
    if (typeof id !== 'string') return false
    // JSON Schema counts code points.
    const length = Array.from(id).length
    return length >= minLength && length <= maxLength && new RegExp(pattern, 'u').test(id)
  }
  const accepted = [
    'tx-1',
    ' ',
    'a'.repeat(255),
    'ä漢😀',
    'Record:1',
    'record',
    '"\\/',
    'a b',
    '\u00a0',
    'xrecord:1',
  ]
  const refused = [
    '',
    'a'.repeat(256),
    'record:',
    'record:topic:0:1',
    'a\n',
    'a\0b',
    '\u007f',
    '\u0085',
    '\u061c',
    '\u200e',
    '\u200f',
    '\u202a',
    '\u202e',
    '\u2066',
    '\u2069',
    '\ud800',
    'a\udc00',
  ]
  for (const id of accepted) agree({ transaction_id: id, more: [1] }, true)
  for (const id of refused) agree({ transaction_id: id }, false)
  for (const value of [
    null,
    1,
    'tx',
    [],
    {},
    { transaction_id: 1 },
    { transaction_id: null },
    { Transaction_id: 'a' },
  ])
    agree(value, false)

  function agree(value: unknown, expected: boolean): void {
    const record = {
      key: null,
      value: Buffer.from(JSON.stringify(value)),
      timestamp: '0',
      attributes: 0,
      offset: '0',
      headers: {},
    }
    const { rejection } = decode(record, 'topic', 0, 1024)
    t.strictSame([fits(value), rejection === null], [expected, expected], JSON.stringify(value))
  }
})

t.test('schema/schema.graphql is what the code serves (npm run schema prints it)', async (t) => {
  t.equal(printGraphql(), await readFile(graphqlFile, 'utf8'))
})

t.test('everything in the GraphQL schema is described, for the playground shows it', async (t) => {
  t.strictSame(findUndescribed(graphqlSchema), [])
})

t.test('docs/settings.md is what .env.example and the code say (npm run schema prints it)', async (t) => {
  t.equal(await printSettings(), await readFile(settingsFile, 'utf8'))
})

t.test(
  'console/api/operations.ts is what the console asks, and the schema knows it (npm run schema prints it)',
  async (t) => {
    t.equal(await printOperations(), await readFile(operationsFile, 'utf8'))
  },
)
