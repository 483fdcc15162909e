import type { ComponentType } from 'preact'
import { DeadLetters } from './pages/dead-letters/dead-letters.tsx'
import { Failures } from './pages/failures/failures.tsx'
import { Jobs } from './pages/jobs/jobs.tsx'
import { Journal } from './pages/journal/journal.tsx'
import { Now } from './pages/now/now.tsx'
import { Partitions } from './pages/partitions/partitions.tsx'
import { Transaction } from './pages/transaction/transaction.tsx'

export type ConsolePage = {
  /** In the address, behind `#/`. */
  readonly path: string
  readonly title: string
  readonly component: ComponentType
}

/** The pages in the order of the menu. A new one is a line here and a folder in pages/; the first one is where a visit begins. */
export const pages: readonly ConsolePage[] = [
  { path: 'now', title: 'Now', component: Now },
  { path: 'failures', title: 'Failures', component: Failures },
  { path: 'transaction', title: 'Transaction', component: Transaction },
  { path: 'dead-letters', title: 'Dead letters', component: DeadLetters },
  { path: 'jobs', title: 'Jobs', component: Jobs },
  { path: 'partitions', title: 'Partitions', component: Partitions },
  { path: 'journal', title: 'Journal', component: Journal },
]
