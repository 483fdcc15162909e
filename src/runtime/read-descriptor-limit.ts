type Report = { userLimits?: { open_files?: { soft?: number | string } } }

/** How many files and connections the system lets this process have open; null where it sets no limit, or has none. */
export function readDescriptorLimit(): number | null {
  // Without the names of the machine's addresses, which may take their time.
  Object.assign(process.report, { excludeNetwork: true })
  const { userLimits } = process.report.getReport() as Report
  const limit = Number(userLimits?.open_files?.soft)
  return Number.isFinite(limit) ? limit : null
}
