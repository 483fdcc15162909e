import { pages } from '../pages.ts'
import { link, place } from '../router.ts'

/** The pages. */
export function Menu() {
  const current = pages.some(({ path }) => path === place.value.page) ? place.value.page : pages[0]?.path
  return (
    <nav aria-label="Pages">
      <ul>
        {pages.map(({ path, title }) => (
          <li key={path}>
            <a href={link(path)} aria-current={path === current ? 'page' : undefined}>
              {title}
            </a>
          </li>
        ))}
      </ul>
    </nav>
  )
}
