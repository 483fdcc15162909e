import DataLoader from 'dataloader'
import type { Pool } from 'pg'
import { readDestinations, type DestinationStanding } from '../../log/read/read-destinations.ts'
import { ask } from '../ask.ts'

/** Reads in one statement what is asked for in the same turn, as all subscribers do at a decision; nothing is remembered beyond it. */
export function destinationReader(database: Pool): (name: string) => Promise<DestinationStanding | null> {
  const loader = new DataLoader<string, DestinationStanding | null>(
    async (names) => {
      const standings = await ask(database, (client) => readDestinations(client, [...new Set(names)]))
      return names.map((name) => standings.find((each) => each.name === name) ?? null)
    },
    { cache: false },
  )
  return (name) => loader.load(name)
}
