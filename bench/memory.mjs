#!/usr/bin/env node
/**
 * Bytes on the heap for each remembered decision, and that they are bounded.
 * Usage: npm run build && node --expose-gc bench/memory.mjs
 */
import { randomUUID } from 'node:crypto'
import { InMemoryProvider, OpenFeature } from '@openfeature/server-sdk'
import { createDecider } from '../dist/index.mjs'
import { aim } from './peers/report.mjs'
import { table } from './measure.mjs'

const COUNT = 45_000
const BOUND = 100_000
const KEYS = {
  'user id of 10 characters': (i) => `u${String(i).padStart(9, '0')}`,
  'user id of 20 characters': (i) => `user-${String(i).padStart(15, '0')}`,
  'UUID (36 characters)': () => randomUUID(),
}

export async function measure() {
  await OpenFeature.setProviderAndWait(
    new InMemoryProvider({
      'use-redis': {
        disabled: false,
        variants: { on: true, off: false },
        defaultVariant: 'on',
      },
    }),
  )
  const rows = []
  const each = {}
  for (const [name, keyOf] of Object.entries(KEYS)) {
    const decider = createDecider({ flag: 'use-redis', rememberMs: 3_600_000 })
    const grown = await growth(decider, COUNT, keyOf)
    each[name] = grown / COUNT
    rows.push([
      name,
      COUNT.toLocaleString('en'),
      `${(grown / 2 ** 20).toFixed(1)} MiB`,
      `${each[name].toFixed(0)} B`,
    ])
    await decider.close()
  }
  const decider = createDecider({ flag: 'use-redis', maxRemembered: BOUND })
  const keyOf = KEYS['user id of 20 characters']
  await growth(decider, BOUND, keyOf)
  const more = await growth(decider, 5 * BOUND, (i) => keyOf(BOUND + i))
  rows.push([
    `${(5 * BOUND).toLocaleString('en')} more users, with room for ${BOUND.toLocaleString('en')}`,
    (5 * BOUND).toLocaleString('en'),
    `${(more / 2 ** 20).toFixed(1)} MiB`,
    '',
  ])
  await decider.close()
  await OpenFeature.close()
  const bytes = each['user id of 20 characters']
  // Whatever was remembered when it began, it cannot need more than its bound is worth.
  const most = (BOUND * 200) / 2 ** 20
  return {
    tables: [
      {
        title: 'Memory of decisions (heap in use after garbage collection)',
        headings: ['key', 'users', 'growth', 'each'],
        rows,
      },
    ],
    aims: [
      aim(
        'memory of a remembered decision',
        '<= 200 bytes',
        `${bytes.toFixed(0)} bytes`,
        bytes <= 200,
      ),
      aim(
        'memory of decisions is bounded',
        `<= ${most.toFixed(0)} MiB after 500,000 more users`,
        `${(more / 2 ** 20).toFixed(1)} MiB`,
        more / 2 ** 20 <= most,
      ),
    ],
  }
}

async function growth(decider, count, keyOf) {
  globalThis.gc()
  const before = process.memoryUsage().heapUsed
  for (let i = 0; i < count; i += 1) await decider.decide({ targetingKey: keyOf(i) })
  globalThis.gc()
  return process.memoryUsage().heapUsed - before
}

if (process.argv[1] === import.meta.filename) {
  if (globalThis.gc === undefined) throw new Error('run with node --expose-gc')
  for (const { headings, rows } of (await measure()).tables) console.log(table(headings, rows))
}
