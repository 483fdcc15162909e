/** The sentence that says why the development broker does not start, or null where it may. */
export function refuseInProduction(nodeEnv: string | undefined): string | null {
  if (nodeEnv !== 'production') return null
  return 'The embedded broker is for development and does not start under NODE_ENV=production; name a real one in KAFKA_BROKER.'
}
