import { place } from '../../router.ts'
import { Life } from './life.tsx'
import { Search } from './search.tsx'

/** One payment from its first event to its last, or the way to find it. */
export function Transaction() {
  const { subject, search } = place.value
  if (subject !== '') return <Life key={subject} id={subject} />
  return <Search key={search.get('find')} text={search.get('find') ?? ''} />
}
