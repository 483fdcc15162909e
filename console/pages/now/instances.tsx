import { Foreign } from '../../parts/foreign.tsx'
import { Badge, type Tone } from '../../parts/status.tsx'
import { Age, Time } from '../../parts/time.tsx'
import type { NowMetrics } from './now.tsx'

const tones: Readonly<Record<string, Tone>> = { LIVE: 'good', SILENT: 'bad', GONE: 'calm' }

/** The instances that live and since when, and those that lately did. */
export function Instances({ now: { instances } }: { now: NowMetrics }) {
  return (
    <section aria-labelledby="instances">
      <h2 id="instances">Instances</h2>
      {instances === null ? (
        <p class="quiet">Not known.</p>
      ) : (
        <div class="scroll" tabIndex={0} role="group" aria-labelledby="instances">
          <table>
            <thead>
              <tr>
                <th scope="col">Name</th>
                <th scope="col">State</th>
                <th scope="col">Release</th>
                <th scope="col">Since</th>
                <th scope="col">Last heard</th>
                <th scope="col">Partitions</th>
              </tr>
            </thead>
            <tbody>
              {instances.map(({ name, state, answers, release, startedAt, lastHeartbeatAt, partitions }) => (
                <tr key={name}>
                  <th scope="row">
                    <Foreign text={name} />
                    {answers && <span class="quiet"> (answers this page)</span>}
                  </th>
                  <td>
                    <Badge tone={tones[state] ?? 'calm'}>{state.toLowerCase()}</Badge>
                  </td>
                  <td>{release === null ? 'not known' : <Foreign text={release} />}</td>
                  <td>
                    {startedAt === null ? (
                      'not known'
                    ) : (
                      <>
                        <Time at={startedAt} />{' '}
                        <span class="quiet">
                          (<Age since={startedAt} />)
                        </span>
                      </>
                    )}
                  </td>
                  <td>{lastHeartbeatAt === null ? 'never' : <Time at={lastHeartbeatAt} />}</td>
                  <td>{describePartitions(partitions)}</td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
    </section>
  )
}

function describePartitions(partitions: readonly number[] | null): string {
  if (partitions === null) return 'not known'
  return partitions.length === 0 ? 'none' : partitions.join(', ')
}
