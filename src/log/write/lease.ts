/** What decides when the lease of another instance may be taken over; see the SQL function lease_ends_at. */
export type Lease = {
  readonly leaseMs: number
  /** For how long after an outage of the database no lease is taken over: other instances may hold outcomes in memory. */
  readonly graceMs: number
  /** When this instance reached the database again after an outage, by the database's clock; `-infinity` if there was none. */
  readonly reconnectedAt: string
}
