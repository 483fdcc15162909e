import type { ComponentType } from 'preact'
import { Now } from './pages/now/now.tsx'
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
  { path: 'transaction', title: 'Transaction', component: Transaction },
]
