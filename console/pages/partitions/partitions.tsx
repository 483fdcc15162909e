import { useSignal } from '@preact/signals'
import { useEffect } from 'preact/hooks'
import { follow } from '../../api/follow.ts'
import { partitionsOperation, type PartitionsResult } from '../../api/operations.ts'
import { Copy } from '../../parts/copy.tsx'
import { Foreign } from '../../parts/foreign.tsx'
import { formatCount } from '../../parts/format.ts'
import { FaultNotice, sentenceOfMissing } from '../../parts/notice.tsx'
import { PartitionBadge } from '../../parts/partition-badge.tsx'
import { listPartitions, type Partition as Standing } from '../../parts/partitions.ts'
import { Badge } from '../../parts/status.tsx'

type Metrics = NonNullable<PartitionsResult['metrics']>
type Partition = NonNullable<Metrics['consumer']>[number]
/** How it is read, and what became of its offsets; the second is null where nothing of it was ever stored. */
type Line = { readonly standing: Standing; readonly stored: Partition | null }

const counted = ['received', 'duplicates', 'conflicts', 'rejected', 'holes', 'gaps'] as const
const headings = ['Received', 'Known already', 'Conflicts', 'Unreadable', 'Holes', 'Given up']

/** What became of every offset of every partition, and how a stopped one goes on. */
export function Partitions() {
  const lines = useSignal<readonly Line[] | null>(null)
  const fault = useSignal<string | null>(null)
  useEffect(
    () =>
      follow(partitionsOperation, {
        variables: () => ({}),
        take: ({ metrics }, faults) => {
          const isTold = metrics?.consumer != null
          if (isTold) lines.value = listLines(metrics)
          fault.value = isTold ? null : (fault.value ?? sentenceOfMissing(faults))
        },
      }),
    [],
  )
  const found = lines.value
  if (found === null)
    return fault.value === null ? (
      <p role="status">Reading …</p>
    ) : (
      <FaultNotice fault={fault.value} isOld={false} />
    )
  return (
    <>
      <FaultNotice fault={fault.value} isOld />
      {found.map(({ stored }) =>
        stored === null || stored.stopped === null ? null : (
          <Stopped key={`${stored.topic}:${stored.partition}`} partition={stored} reason={stored.stopped} />
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
                <Row key={`${each.standing.topic}:${each.standing.partition}`} {...each} />
              ))}
            </tbody>
          </table>
        </div>
      </section>
    </>
  )
}

function listLines(metrics: Metrics): readonly Line[] {
  return listPartitions(metrics).map((standing) => ({
    standing,
    stored:
      metrics.consumer?.find(
        ({ topic, partition }) => topic === standing.topic && partition === standing.partition,
      ) ?? null,
  }))
}

function Row({ standing, stored }: Line) {
  const { topic, partition, nextOffset, lag, state } = standing
  const incarnation = stored?.incarnation ?? 1
  // What was known of Kafka before a cut says nothing of now.
  const isRead = state === 'reading' || state === 'read'
  return (
    <tr>
      <th scope="row">
        <Foreign text={topic} />
        {incarnation > 1 && <span class="quiet">, created anew {incarnation - 1} times</span>}
      </th>
      <td class="number">{partition}</td>
      <td>
        <PartitionBadge state={state} />
      </td>
      <td class="number">{formatCount(nextOffset)}</td>
      <td class="number">{formatCount(isRead ? stored?.highOffset : null)}</td>
      <td class="number">{formatCount(lag)}</td>
      {counted.map((each) => (
        <td key={each} class="number">
          {formatCount(stored?.[each])}
        </td>
      ))}
      <td>
        {stored === null ? (
          '–'
        ) : (
          <Badge tone={stored.conserved ? 'good' : 'bad'}>{stored.conserved ? 'yes' : 'no'}</Badge>
        )}
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
