import {
  AlwaysOffSampler,
  AlwaysOnSampler,
  ParentBasedSampler,
  TraceIdRatioBasedSampler,
  type Sampler,
} from '@opentelemetry/sdk-trace'

/** The values of OTEL_TRACES_SAMPLER that the service knows, in three parts. */
export type SamplerConfig = {
  /** Whether the producer's own decision goes first. */
  readonly isParentBased: boolean
  /** The share of the other traces that is sampled, from 0 to 1. */
  readonly ratio: number
}

export function createSampler({ isParentBased, ratio }: SamplerConfig): Sampler {
  const root = createRoot(ratio)
  return isParentBased ? new ParentBasedSampler({ root }) : root
}

function createRoot(ratio: number): Sampler {
  if (ratio === 0) return new AlwaysOffSampler()
  return ratio === 1 ? new AlwaysOnSampler() : new TraceIdRatioBasedSampler(ratio)
}
