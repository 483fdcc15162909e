import { mkdirSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ArchiveFault } from '../../src/archive/archive-folder.ts'
import { writeArchive, type Content } from '../../src/archive/write-archive.ts'

const segment = { segment: 1, firstMessageId: 1, nextMessageId: 31 }

async function write(directory: string, lines: AsyncIterable<string[]>): Promise<void> {
  const content = { segment, counts: {}, sums: {}, lines, actor: 'alice', reason: 'old' }
  await writeArchive(directory, content as unknown as Content, () => undefined)
}

t.test('an archive that cannot be written is named, and leaves nothing behind', async (t) => {
  const directory = t.testdir({})
  async function* lines() {
    yield ['{}']
    // The disk refuses a write: a folder of that name is in the way of a file.
    const [beside = ''] = readdirSync(directory)
    mkdirSync(join(directory, beside, 'sums.json'))
  }
  const fault = await write(directory, lines()).catch((error: unknown) => error)
  t.type(fault, ArchiveFault)
  t.match(fault, {
    message:
      /segment-000001-messages-1-30 cannot be written: EISDIR.*\. The segment stays in the database\.$/,
  })
  t.same(readdirSync(directory), [])
})

t.test('a database that fails meanwhile is not taken for a disk', async (t) => {
  const directory = t.testdir({})
  const lost = new Error('connection lost')
  async function* lines() {
    yield ['{}']
    throw lost
  }
  t.equal(await write(directory, lines()).catch((error: unknown) => error), lost)
  t.same(readdirSync(directory), [])
})
