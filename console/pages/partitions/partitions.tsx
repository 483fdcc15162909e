import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow } from '../../api/follow.ts'
import { partitionsOperation, type PartitionsResult } from '../../api/operations.ts'
import { Copy } from '../../parts/copy.tsx'
import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { FaultNotice, sentenceOfMissing } from '../../parts/notice.tsx'
import { Badge } from '../../parts/status.tsx'

type Partition = NonNullable<NonNullable<PartitionsResult['metrics']>['consumer']>[number]

const counted = ['received', 'duplicates', 'conflicts', 'rejected', 'holes', 'gaps'] as const
const headings = ['Received', 'Known already', 'Conflicts', 'Unreadable', 'Holes', 'Given up']

/** What became of every offset of every partition, and how a stopped one goes on. */
export function Partitions() {
  const partitions = useSignal<readonly Partition[] | null>(null)
  const fault = useSignal<string | null>(null)
  useEffect(
    () =>
      follow(partitionsOperation, {
        variables: () => ({}),
        take: ({ metrics }, faults) => {
          const consumer = metrics?.consumer ?? null
          if (consumer !== null) partitions.value = consumer
          fault.value = consumer === null ? (fault.value ?? sentenceOfMissing(faults)) : null
        },
      }),
    [],
  )
  const found = partitions.value
  if (found === null)
    return fault.value === null ? (
      <p role="status">Reading …</p>
    ) : (
      <FaultNotice fault={fault.value} isOld={false} />
    )
  return (
    <>
      <FaultNotice fault={fault.value} isOld />
      {found.map((each) =>
        each.stopped === null ? null : (
          <Stopped key={`${each.topic}:${each.partition}`} partition={each} reason={each.stopped} />
        ),
      )}
      <section aria-label="Partitions">
        <p class="quiet">
          Every offset is accounted for: received, known already, a conflict, unreadable, or a hole that Kafka
          never handed over. Offsets that an operator gave up are counted apart.
        </p>
        <div class="scroll" tabIndex={0} role="group" aria-label="Partitions in a table">
          <table>
            <thead>
              <tr>
                <th scope="col">Topic</th>
                <th scope="col" class="number">
                  Partition
                </th>
                <th scope="col">State</th>
                <th scope="col" class="number">
                  Next offset
                </th>
                <th scope="col" class="number">
                  Kafka’s end
                </th>
                <th scope="col" class="number">
                  Lag
                </th>
                {headings.map((each) => (
                  <th key={each} scope="col" class="number">
                    {each}
                  </th>
                ))}
                <th scope="col">Adds up</th>
              </tr>
            </thead>
            <tbody>
              {found.map((each) => (
                <Row key={`${each.topic}:${each.partition}`} partition={each} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  )
}

function Row({ partition }: { partition: Partition }) {
  const { topic, partition: number, incarnation, nextOffset, highOffset, lag, stopped, conserved } = partition
  return (
    <tr>
      <th scope="row">
        <Foreign text={topic} />
        {incarnation > 1 && <span class="quiet">, created anew {incarnation - 1} times</span>}
      </th>
      <td class="number">{number}</td>
      <td>
        {stopped !== null ? (
          <Badge tone="bad">stopped</Badge>
        ) : (
          <Badge tone={lag === null ? 'calm' : 'good'}>
            {lag === null ? 'not read by this instance' : 'read'}
          </Badge>
        )}
      </td>
      <td class="number">{formatCount(nextOffset)}</td>
      <td class="number">{formatCount(highOffset)}</td>
      <td class="number">{formatCount(lag)}</td>
      {counted.map((each) => (
        <td key={each} class="number">
          {formatCount(partition[each])}
        </td>
      ))}
      <td>
        <Badge tone={conserved ? 'good' : 'bad'}>{conserved ? 'yes' : 'no'}</Badge>
      </td>
    </tr>
  )
}

/** Why a partition is stopped. The reason names the command that decides; it runs where the service is installed. */
function Stopped({ partition: { topic, partition }, reason }: { partition: Partition; reason: string }) {
  const commands = [...reason.matchAll(/`(npm run [^`]+)`/g)].flatMap(([, command]) => command ?? [])
  return (
    <section aria-label={`Partition ${partition} of ${topic} is stopped`}>
      <p class="notice bad">
        Partition {partition} of <Foreign text={topic} /> is stopped: <Foreign text={reason} />
      </p>
      {commands.map((command) => (
        <div key={command} class="row">
          <code class="id">{command}</code>
          <Copy text={() => command}>Copy the command</Copy>
        </div>
      ))}
    </section>
  )
}
