import t from 'tap'
import { stopMs } from '../../src/trace/stop-ms.ts'

t.test('a drain waits for the collector of traces only while there is time', (t) => {
  t.equal(stopMs(8_000, 20), 1_000, 'nothing was open')
  t.equal(stopMs(8_000, 8_050), 450, 'attempts took all the grace')
  t.equal(stopMs(8_000, 9_000), 0, 'the database was slow too')
  t.end()
})
