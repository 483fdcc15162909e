import type { Gauge } from 'prom-client'

/** How many records wait in each partition, as a gauge of the metrics has it, by `topic:partition`. */
export async function readLags(gauge: Gauge): Promise<ReadonlyMap<string, string>> {
  const { values } = await gauge.get()
  return new Map(values.map(({ labels, value }) => [`${labels.topic}:${labels.partition}`, String(value)]))
}
