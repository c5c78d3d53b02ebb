/**
 * `npm run test:simulation -- --seed N --schedules N --policy P`: random schedules of the shipped assembly
 * until one is wrong, which is then shortened and told.
 */
import { parseArgs } from 'node:util'
import { type StandbyPolicy, STANDBY_POLICIES } from '../../src/switch/options.ts'
import { realNow } from './machine.ts'
import { makePairPlan, PAIR_FAULTS } from './pair-plan.ts'
import {
  FAULTS,
  type FaultKind,
  makePlan,
  type PlanOptions,
  withGrace,
  withNamespace,
  withPlain,
} from './plan.ts'
import { run } from './run.ts'
import { shorten } from './shorten.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    schedules: { type: 'string', default: '10000' },
    seconds: { type: 'string', default: '0' },
    policy: { type: 'string', default: 'mixed' },
    faults: { type: 'string' },
    without: { type: 'string', default: '' },
    'real-files': { type: 'string', default: '0' },
    /** Callers who accept expired values. */
    grace: { type: 'boolean', default: false },
    /** `plain`: under the application's own keys, which programs without the switch write too. */
    values: { type: 'string', default: 'own' },
    /** Two Redis that all share, instead of files and a Redis. */
    pair: { type: 'boolean', default: false },
    /** All in a namespace. */
    namespace: { type: 'boolean', default: false },
    failures: { type: 'string', default: '1' },
    'as-is': { type: 'boolean', default: false },
    quiet: { type: 'boolean', default: false },
  },
})

const first = Number(values.seed)
const count = Number(values.schedules)
const without = values.without.split(',')
const named = values.faults?.split(',').filter((name) => name !== '') as FaultKind[] | undefined
const options: PlanOptions = {
  policies: policiesOf(values.policy),
  faults: (named ?? (values.pair ? PAIR_FAULTS : FAULTS)).filter((kind) => !without.includes(kind)),
  realFiles: Number(values['real-files']),
  nested: !without.includes('nested'),
  overflow: !without.includes('overflow'),
  clear: !without.includes('clear'),
  slow: !without.includes('slow'),
}
const started = realNow()
const until = Number(values.seconds) * 1000
// A stack for each of thousands of expected errors is dear, and nobody reads it.
Error.stackTraceLimit = 0
let events = 0
let [reads, writes, excused, failures, done] = [0, 0, 0, 0, 0]

for (let seed = first; seed < first + count; seed += 1) {
  if (until > 0 && realNow() - started > until) break
  const made = values.pair ? makePairPlan(seed, options.faults) : makePlan(seed, options)
  const graced = values.grace ? withGrace(made, seed) : made
  const plain = values.values === 'plain' ? withPlain(graced, seed) : graced
  const plan = values.namespace ? withNamespace(plain, seed) : plain
  const outcome = await run(plan, { seed })
  done += 1
  events += outcome.events
  reads += outcome.reads
  writes += outcome.writes
  excused += outcome.excusedReads
  if (outcome.problems.length === 0) continue
  failures += 1
  console.log(`seed ${seed} (schedule ${done}, ${seconds()} s): ${outcome.problems[0]}`)
  if (!values.quiet) {
    const short = values['as-is']
      ? { plan, outcome: await run(plan, { seed, story: true }) }
      : await shorten(plan, seed, outcome)
    console.log(short.outcome.story.join('\n'))
  }
  if (failures >= Number(values.failures)) break
}
console.log(
  `${done} schedules in ${seconds()} s (${Math.round((done / cpuSeconds()) * 3600)} an hour of processor time), ` +
    `${reads} reads and ${writes} writes checked, ${excused} excused, ${events} events, ${failures} wrong`,
)
process.exit(failures === 0 ? 0 : 1)

function cpuSeconds(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1e6
}

function seconds(): string {
  return ((realNow() - started) / 1000).toFixed(1)
}

function policiesOf(name: string): readonly StandbyPolicy[] {
  if (name === 'mixed') return STANDBY_POLICIES.filter((policy) => !policy.startsWith('only-'))
  return name.split(',') as StandbyPolicy[]
}
