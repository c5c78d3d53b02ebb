// Cost of counting one operation: `node --expose-gc bench/telemetry.ts` (Node >= 22.18; else a build).
import { createTelemetry, noTelemetry } from '../src/telemetry/index.ts'
import type { Outcome, Recorder } from '../src/telemetry/index.ts'
import type { Side } from '../src/side.ts'

const KEYS = Array.from({ length: 10_000 }, (_, i) => `user-${String(i).padStart(15, '0')}`)
const ROUNDS = 3_000_000
const OUTCOMES: readonly Outcome[] = ['hit', 'hit', 'hit', 'hit', 'hit', 'hit', 'hit', 'miss']
const SIDES: readonly Side[] = ['off', 'on']

function best(name: string, run: () => void): void {
  let fastest = Infinity
  for (let i = 0; i < 5; i++) {
    const start = process.hrtime.bigint()
    run()
    fastest = Math.min(fastest, Number(process.hrtime.bigint() - start))
  }
  console.log(`${name.padEnd(44)} ${(fastest / ROUNDS).toFixed(1).padStart(7)} ns`)
}

function measure(name: string, recorder: Recorder): void {
  const marks = KEYS.map((key) => recorder.bucketOf(key))
  best(`${name}: bucketOf, 20 characters`, () => {
    for (let i = 0; i < ROUNDS; i++) recorder.bucketOf(KEYS[i % 10_000])
  })
  best(`${name}: operation`, () => {
    for (let i = 0; i < ROUNDS; i++) {
      recorder.operation(SIDES[i & 1]!, 'getOrSet', OUTCOMES[i & 7]!, i % 7, marks[i % 10_000]!)
    }
  })
  best(`${name}: decision`, () => {
    for (let i = 0; i < ROUNDS; i++) {
      recorder.decision(SIDES[i & 1]!, 'on', 'TARGETING_MATCH', 'remembered')
    }
  })
  best(`${name}: bucketOf + decision + operation + bytes`, () => {
    for (let i = 0; i < ROUNDS; i++) {
      const side = SIDES[i & 1]!
      const mark = recorder.bucketOf(KEYS[i % 10_000])
      recorder.decision(side, side, 'TARGETING_MATCH', 'remembered')
      recorder.operation(side, 'get', OUTCOMES[i & 7]!, 0.4, mark)
      recorder.bytes(side, 'read', 420)
    }
  })
}

const telemetry = createTelemetry({ meter: false })
measure('counting', telemetry)
measure('noTelemetry', noTelemetry)

const before = process.memoryUsage().heapUsed
for (let i = 0; i < ROUNDS; i++) {
  telemetry.operation('on', 'get', 'hit', 0.4, telemetry.bucketOf(KEYS[i % 10_000]))
}
const grown = process.memoryUsage().heapUsed - before
console.log(
  `heap growth over ${ROUNDS} operations ${(grown / ROUNDS).toFixed(3).padStart(17)} B each`,
)

const start = process.hrtime.bigint()
let length = 0
for (let i = 0; i < 200; i++) length = telemetry.prometheus().length
const perScrape = Number(process.hrtime.bigint() - start) / 200 / 1e6
console.log(`prometheus(): ${perScrape.toFixed(2)} ms, ${(length / 1024).toFixed(0)} KiB`)
telemetry.close()
