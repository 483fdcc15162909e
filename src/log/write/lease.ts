/** What decides when another's lease may be taken over; see the SQL function lease_ends_at. */
export type Lease = {
  readonly leaseMs: number
  /** How long after an outage of the database leases are left to those who hold outcomes in memory. */
  readonly graceMs: number
  /** When this instance came back to the database after an outage, by the database's clock; `-infinity` if there was none. */
  readonly reconnectedAt: string
}
