import type { Page } from './connection-of.ts'
import { describePage, readPageRequest, type PageArguments } from './page-request.ts'

type List<Value, Cursor> = {
  readonly limits: Parameters<typeof readPageRequest>[1]
  /** Null for a cursor that is none of this list. */
  readonly decode: (text: string) => Cursor | null
  /** Reads so many of those that come after the cursor; null is before the first one. */
  readonly read: (after: Cursor | null, rowsMax: number) => Promise<readonly Value[]>
  /** The cursor of a value. */
  readonly encode: (value: Value) => string
}

/**
 * Reads a page of a list that goes in one direction only.
 *
 * @throws BAD_USER_INPUT, CURSOR_INVALID
 */
export async function listPage<Value, Cursor>(
  asked: Pick<PageArguments, 'first' | 'after'>,
  { limits, decode, read, encode }: List<Value, Cursor>,
): Promise<Page<Value>> {
  const request = readPageRequest(asked, limits, decode)
  // One more than is shown says whether there is another page.
  const found = await read(request.after, request.rowsMax + 1)
  const edges = found.slice(0, request.rowsMax).map((node) => ({ cursor: encode(node), node }))
  return {
    edges,
    pageInfo: describePage(request, {
      start: edges[0]?.cursor ?? null,
      end: edges.at(-1)?.cursor ?? null,
      hasMore: found.length > request.rowsMax,
    }),
  }
}
