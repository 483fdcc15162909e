/**
 * Does it one at a time. What is asked for meanwhile is done once more after it, so that the last answer is the newest.
 *
 * @param act never rejects
 */
export function oneAtATime(act: () => Promise<void>): () => void {
  let isDoing = false
  let isAsked = false
  const begin = async (): Promise<void> => {
    isDoing = true
    while (isAsked) {
      isAsked = false
      await act()
    }
    isDoing = false
  }
  return () => {
    isAsked = true
    if (!isDoing) void begin()
  }
}
