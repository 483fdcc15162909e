import t from 'tap'
import { setUpLine } from '../support/line.ts'
import { startReadyService } from '../support/service.ts'
import { until } from '../support/until.ts'
import { tqp } from '../tqp/tqp.ts'
import { build, findBarriers, skip, watch } from './watching.ts'

t.before(build)

t.test('the instances that live are shown, and one that was killed is shown as gone', { skip }, async (t) => {
  const line = await setUpLine(t, ['--success', '1'])
  const first = await startReadyService(t, line.settings)
  const second = await startReadyService(t, line.settings)
  const nameOf = ({ log }: typeof first) => String(log.find(({ event }) => event === 'started')?.instance)
  const { page, go } = await watch(t, first.url)
  page.setDefaultTimeout(120_000)
  const row = (service: typeof first) =>
    page.locator('section[aria-labelledby="instances"] tbody tr').filter({ hasText: nameOf(service) })

  await go('now')
  await until('both, heard', async () => {
    const texts = await Promise.all([row(first).innerText(), row(second).innerText()])
    return texts.every((text) => /live/.test(text) && !/never|not known/.test(text))
  })
  t.match(await row(first).innerText(), /answers this page/)
  t.notMatch(await row(second).innerText(), /answers this page/)
  t.strictSame(await findBarriers(page), [])
  const described = (service: typeof first, state: string) =>
    new RegExp(
      `^instance {5}${nameOf(service)} ${state}, since \\S+Z, release \\d\\S+, last heard \\S+Z(.*)$`,
      'm',
    )
  // Each instance tells what it heard itself: the page's has heard both, the other not yet for sure.
  let output = ''
  await until('the other instance heard both', async () => {
    output = (await tqp({ url: second.url }, 'status')).output
    return [first, second].every((service) => described(service, 'live').test(output))
  })
  t.notMatch(described(first, 'live').exec(output)?.[1], /answers this$/)
  t.match(described(second, 'live').exec(output)?.[1], /answers this$/)

  second.kill('SIGKILL')
  await row(second).getByText('gone').waitFor()
  t.match(await row(first).innerText(), /live/)
  t.match((await tqp({ url: first.url }, 'status')).output, described(second, 'gone'))
})
