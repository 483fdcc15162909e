/** Why a replay must be confirmed first, without the end of the sentence: how to confirm it. */
export function explainKeyWindow(transactionId: string, endedAt: string): string {
  return `Transaction ${transactionId} may have been carried out, and the processor may have forgotten its key (KEY_WINDOW, until ${endedAt}): ask the processor; if it was not carried out`
}
