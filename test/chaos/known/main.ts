// `npm run test:known -- [--times 1000] [--per-outage 50] [--plant no-licence|deaf-follower]`: the failures that
// two Redis and fleets were built against, over and over, on real processes and stores.
import { parseArgs } from 'node:util'
import { rollback } from './rollback.ts'
import { writerGone } from './writer-gone.ts'

const { values } = parseArgs({
  options: {
    times: { type: 'string', default: '1000' },
    'per-outage': { type: 'string', default: '50' },
    plant: { type: 'string' },
  },
})
const [times, perOutage] = [Number(values.times), Number(values['per-outage'])]
if (!(times > 0 && perOutage > 0)) {
  console.error('test:known: --times and --per-outage are numbers above 0')
  process.exit(2)
}
// For the processes that it starts: see test/support/pair-process.mjs.
if (values.plant !== undefined) process.env['SWITCHBACK_PLANT'] = values.plant
const held = [await writerGone(times, perOutage), await rollback(times)]
process.exit(held.every(Boolean) ? 0 : 1)
