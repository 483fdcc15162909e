import { useEffect, useMemo } from 'preact/hooks'
import { writeCurl } from '../../api/curl.ts'
import { transactionOperation } from '../../api/operations.ts'
import { Copy } from '../../parts/copy.tsx'
import { Foreign } from '../../parts/foreign.tsx'
import { Notice } from '../../parts/notice.tsx'
import { Status } from '../../parts/status.tsx'
import { BothTimes } from '../../parts/time.tsx'
import { Actions } from './actions.tsx'
import { Bytes } from './bytes.tsx'
import { Conflicts } from './conflicts.tsx'
import { Facts } from './facts.tsx'
import { readLife } from './read-life.ts'
import { StateAt } from './state-at.tsx'
import { Timeline } from './timeline.tsx'

/** All about one transaction, live. */
export function Life({ id }: { id: string }) {
  const life = useMemo(() => readLife(id), [id])
  useEffect(() => life.leave, [life])
  const message = life.message.value
  const archived = life.archived.value
  return (
    <>
      <p class="subject">
        <Foreign class="id" text={id} />
        {message !== null && <Status {...message} />}
        <Copy text={() => writeCurl(transactionOperation, { transactionId: id, afterVersion: 0 })}>
          Copy as curl
        </Copy>
      </p>
      {life.fault.value !== null && <Notice tone="bad">{life.fault.value}</Notice>}
      {archived !== null && (
        <Notice tone="calm">
          This transaction is not in the database any more. It is in the archive{' '}
          <Foreign text={archived.archive} />, since <BothTimes at={archived.archivedAt} />.
        </Notice>
      )}
      {message === null && archived === null && life.fault.value === null && (
        <p role="status">
          {life.isRead.value
            ? 'Nothing is stored under this id. If it comes, it is shown here.'
            : 'Reading …'}
        </p>
      )}
      {message !== null && (
        <>
          <Actions message={message} onDone={life.read} />
          <Timeline events={life.events.value} readAfter={life.readAfter} />
          <StateAt transactionId={id} events={life.events.value} />
          <div class="columns">
            <Facts message={message} />
            <Bytes message={message} />
          </div>
          <Conflicts message={message} />
        </>
      )}
    </>
  )
}
