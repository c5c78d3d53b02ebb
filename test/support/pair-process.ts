/** One process of an application between two Redis, or files and a Redis: does what it is told, and tells how it went. */
import { fileCache, redisCache } from '../../src/cache/index.ts'
import { createCacheSwitch } from '../../src/switch/index.ts'
import { FixedDecider } from './fixed-decider.ts'

const [off = '', on = ''] = process.argv.slice(2)
const events: string[] = []
const sides = {
  off: off.includes('://') ? redisCache({ url: off, name: 'A' }) : fileCache({ directory: off }),
  on: redisCache({ url: on, name: 'B' }),
}
plant(process.env['SWITCHBACK_PLANT'])
const cache = createCacheSwitch({
  flag: 'use-redis',
  decider: new FixedDecider({ 'off-user': 'off', 'on-user': 'on' }),
  ...sides,
  // A busy test machine is no outage.
  deadlineMs: 500,
  onEvent({ type, side = '', detail }) {
    if (type !== 'warning') events.push(`${type} ${side}: ${detail}`)
  },
})

/** A planted defect, to show that it is found. */
function plant(defect: string | undefined): void {
  const { follow } = sides.on
  if (defect === 'no-licence') {
    for (const { board } of Object.values(sides)) {
      if (board !== undefined) Object.defineProperty(board, 'licensed', { value: true })
    }
  } else if (defect === 'deaf-follower' && follow !== undefined) {
    const follows: typeof follow = (listener) => follow({ ...listener, changed: () => undefined })
    Object.assign(sides.on, { follow: follows })
  }
}

export interface PairQuestion {
  readonly op: 'get' | 'set' | 'delete' | 'load' | 'clear' | 'close' | 'health' | 'told'
  readonly user: 'off-user' | 'on-user'
  readonly keys: readonly string[]
  readonly value: string
}

async function answer({ op, user, keys, value }: PairQuestion): Promise<unknown> {
  const view = cache.for({ targetingKey: user })
  switch (op) {
    case 'get':
      return Promise.all(keys.map((key) => view.get(key)))
    case 'load':
      return Promise.all(keys.map((key) => view.getOrSet(key, () => value)))
    case 'set':
      return Promise.all(keys.map((key) => view.set(key, value)))
    case 'delete':
      return Promise.all(keys.map((key) => view.delete(key)))
    case 'clear':
      return view.clear()
    case 'close':
      return cache.close()
    case 'health':
      return cache.health()
    case 'told':
      return isTold()
  }
}

/** What was acknowledged anywhere before this has reached this process; false where it follows nobody. */
async function isTold(): Promise<boolean> {
  const calledAt = performance.now()
  for (;;) {
    const { follower } = cache.health()
    if (follower === undefined) return false
    if (follower.live && follower.lagMs < performance.now() - calledAt - 1) return true
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

process.on('message', (question: PairQuestion) => {
  const startedAt = performance.now()
  void answer(question).then(
    (result) => process.send!({ result, ms: performance.now() - startedAt, events }),
    (error: unknown) => process.send!({ error: String(error), events }),
  )
})
process.on('disconnect', () => process.exit())
// Both stores were asked who they are, and vouch for each other.
await Promise.all([
  cache.for({ targetingKey: 'off-user' }).get('-'),
  cache.for({ targetingKey: 'on-user' }).get('-'),
])
process.send!('ready')
