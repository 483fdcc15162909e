/** Why the development broker does not start, in one sentence; null if it may start. */
export function refuseInProduction(nodeEnv: string | undefined): string | null {
  if (nodeEnv !== 'production') return null
  return 'The embedded broker is for development and does not start under NODE_ENV=production; name a real one in KAFKA_BROKER.'
}
