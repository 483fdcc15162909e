const unitMs = { s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/**
 * The text of Prometheus' rules with each time that they wait so many times shorter: those of `for`, the ranges in brackets, the offsets,
 * and the numbers that say by a comment that they are seconds. All else is as it was.
 */
export function shortenRules(text: string, factor: number): string {
  return text
    .replaceAll(
      /(for: |\[|offset )(\d+)([smhd])\b/g,
      (_, before: string, count: string, unit: keyof typeof unitMs) =>
        `${before}${(Number(count) * unitMs[unit]) / factor}ms`,
    )
    .replaceAll(/(\d+)(?= # seconds)/g, (seconds) => String(Number(seconds) / factor))
}
