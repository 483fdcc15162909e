import { place } from '../../router.ts'
import { Group } from './group.tsx'
import { Groups } from './groups.tsx'

/** Why payments fail: the groups, or the messages of one. */
export function Failures() {
  const { subject } = place.value
  return subject === '' ? <Groups /> : <Group key={subject} pattern={subject} />
}
