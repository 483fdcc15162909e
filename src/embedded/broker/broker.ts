import { CommittedOffsets } from './committed-offsets.ts'
import { holdDataFolder } from './hold-data-folder.ts'
import { Group } from './group.ts'
import { Topics } from './topics.ts'

/** What the requests of all connections share. */
export interface Broker {
  topics: Topics
  groups: Map<string, Group>
  committed: CommittedOffsets
  close: () => void
}

/**
 * Opens the data folder.
 *
 * @throws an Error with one sentence that says why it cannot
 */
export function openBroker(dataDir: string): Broker {
  const release = holdDataFolder(dataDir)
  const topics = new Topics(dataDir)
  const committed = new CommittedOffsets(dataDir)
  const groups = new Map<string, Group>()
  return {
    topics,
    groups,
    committed,
    close: () => {
      for (const group of groups.values()) group.close()
      topics.close()
      committed.close()
      release()
    },
  }
}
