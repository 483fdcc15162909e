/** The checker's name and key for an incarnation of a partition. Each incarnation has its own offsets. */
export function namePartition(topic: string, partition: number, incarnation: number): string {
  return incarnation === 1 ? `${topic}:${partition}` : `${topic}:${partition} (incarnation ${incarnation})`
}
