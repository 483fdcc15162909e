import { place } from '../../router.ts'
import { Job } from './job.tsx'
import { JobList } from './job-list.tsx'

/** What replays or resolves many dead letters: the list, or one of them. */
export function Jobs() {
  const { subject } = place.value
  return subject === '' ? <JobList /> : <Job key={subject} id={subject} />
}
