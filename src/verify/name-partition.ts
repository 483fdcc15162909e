/** How the checker names a partition, and what it knows one by: each incarnation has offsets of its own. */
export function namePartition(topic: string, partition: number, incarnation: number): string {
  return incarnation === 1 ? `${topic}:${partition}` : `${topic}:${partition} (incarnation ${incarnation})`
}
