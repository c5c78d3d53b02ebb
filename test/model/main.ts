/** `npm run test:model -- [part of a name]`: every setting, the deep ones too, with their stories. */
import { check } from './protocol.ts'
import { FLEET_HELD, FLEET_REFUTED } from './private-sides-settings.ts'
import { checkFleet } from './private-sides.ts'
import { HELD, REFUTED } from './settings.ts'
import { PAIR_HELD, PAIR_REFUTED } from './two-stores-settings.ts'
import { checkPair } from './two-stores.ts'

const [wanted = ''] = process.argv.slice(2)
const most = Number(process.env['MAX_STATES'] ?? 4_000_000)
let wrong = 0

function report(expected: string, name: string, run: () => ReturnType<typeof check>): void {
  if (!name.includes(wanted)) return
  const startedAt = performance.now()
  const { verdict, states, depth, story } = run()
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1)
  const ok = verdict === expected || (expected === 'HOLDS' && verdict === 'LIMIT')
  if (!ok) wrong += 1
  console.log(
    `${ok ? '' : 'WRONG: '}${verdict} ${name} [${states} states, depth ${depth}, ${seconds} s]`,
  )
  story.forEach((line, i) => console.log(`  ${String(i + 1).padStart(3)}. ${line}`))
}

for (const { rule, also = [], setting } of REFUTED) {
  const off = Object.fromEntries([rule, ...also].map((name) => [name, false]))
  report('VIOLATED', `without ${rule}`, () => check(off, setting, most))
  // The rule is what makes the difference.
  report('HOLDS', `with ${rule}`, () =>
    check(Object.fromEntries(also.map((name) => [name, false])), setting, most),
  )
}
for (const { name, setting } of HELD) report('HOLDS', name, () => check({}, setting, most))

/** Two stores have more states; what is not found in so many was found to hold as far as they go. */
const mostOfPair = Math.min(most, 700_000)
for (const { rule, also = [], setting } of PAIR_REFUTED) {
  const off = Object.fromEntries(also.map((name) => [name, false]))
  const without = { ...off, [rule]: false }
  report('VIOLATED', `two stores, without ${rule}`, () => checkPair(without, setting, mostOfPair))
  report('HOLDS', `two stores, with ${rule}`, () => checkPair(off, setting, mostOfPair))
}
for (const { name, setting } of PAIR_HELD) {
  report('HOLDS', `two stores, ${name}`, () => checkPair({}, setting, mostOfPair))
}
for (const { rule, setting } of FLEET_REFUTED) {
  report('VIOLATED', `old sides apart, without ${rule}`, () =>
    checkFleet({ [rule]: false }, setting, mostOfPair),
  )
  report('HOLDS', `old sides apart, with ${rule}`, () => checkFleet({}, setting, mostOfPair))
}
for (const { name, setting } of FLEET_HELD) {
  report('HOLDS', `old sides apart, ${name}`, () => checkFleet({}, setting, mostOfPair))
}
process.exitCode = wrong === 0 ? 0 : 1
