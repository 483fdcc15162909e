import DataLoader from 'dataloader'
import type { Pool } from 'pg'
import { readJobs, type ReplayJob } from '../../log/read/read-jobs.ts'
import { ask } from '../ask.ts'

/** Reads in one statement what is asked for in the same turn, each job once; nothing is remembered beyond it. */
export function jobReader(database: Pool): (id: string) => Promise<ReplayJob | null> {
  const loader = new DataLoader<string, ReplayJob | null>(
    async (ids) => {
      const jobs = await ask(database, (client) => readJobs(client, [...new Set(ids)]))
      const found = new Map(jobs.map((job) => [job.id, job]))
      return ids.map((id) => found.get(id) ?? null)
    },
    { cache: false },
  )
  return (id) => loader.load(id)
}
