import { builder } from './builder.ts'
import { PageInfo, type PageInfoValue } from './page-info.ts'

/** What of a list is shown at once, each with its cursor, and where that ends. */
export type Page<Value> = { readonly edges: readonly Edge<Value>[]; readonly pageInfo: PageInfoValue }
type Edge<Value> = { readonly cursor: string; readonly node: Value }

type Node<Value> = ReturnType<ReturnType<typeof builder.objectRef<Value>>['implement']>

type Words = {
  /** What a value, and several of them, are called within a sentence. */
  readonly one: string
  readonly many: string
  /** The descriptions of the edge, of its cursor, and of the connection. */
  readonly edge: string
  readonly cursor: string
  readonly page: string
}

/**
 * The types in which a list is shown page by page (Relay's cursor connections).
 *
 * @param name begins the names of both: with `Access` they are AccessEdge and AccessConnection
 */
export function connectionOf<Value extends object>(
  name: string,
  node: Node<Value>,
  { one, many, ...words }: Words,
) {
  const edge = builder.objectRef<Edge<Value>>(`${name}Edge`).implement({
    description: words.edge,
    fields: (t) => ({
      cursor: t.exposeString('cursor', { description: words.cursor }),
      node: t.expose('node', { type: node, description: `The ${one}.` }),
    }),
  })
  return builder.objectRef<Page<Value>>(`${name}Connection`).implement({
    description: words.page,
    fields: (t) => ({
      edges: t.field({
        type: [edge],
        description: `The ${many} with their cursors.`,
        resolve: ({ edges }) => [...edges],
      }),
      nodes: t.field({
        type: [node],
        description: `The ${many} alone.`,
        resolve: ({ edges }) => edges.map((each) => each.node),
      }),
      pageInfo: t.expose('pageInfo', { type: PageInfo, description: 'Where the page ends.' }),
    }),
  })
}
