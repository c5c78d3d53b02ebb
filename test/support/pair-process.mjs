// One process of an application between two Redis, or files and a Redis: does what it is told, and tells how
// it went. It is JavaScript on the built library: TypeScript as it stands costs a second of processor time
// a process.
import { createCacheSwitch, fileCache, redisCache } from '../../dist/index.mjs'

const SIDES = { 'off-user': 'off', 'on-user': 'on' }
const decider = {
  decide({ targetingKey } = {}) {
    const side = SIDES[targetingKey] ?? 'off'
    return { side, variant: side, reason: 'TARGETING_MATCH', errorCode: '', source: 'remembered' }
  },
  targetingKeyOf: (context) => context?.targetingKey,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}

const [off = '', on = ''] = process.argv.slice(2)
const events = []
const sides = {
  off: off.includes('://') ? redisCache({ url: off, name: 'A' }) : fileCache({ directory: off }),
  on: redisCache({ url: on, name: 'B' }),
}
plant(process.env['SWITCHBACK_PLANT'])
const cache = createCacheSwitch({
  flag: 'use-redis',
  decider,
  ...sides,
  // A busy test machine is no outage.
  deadlineMs: 500,
  onEvent({ type, side = '', detail }) {
    if (type !== 'warning') events.push(`${type} ${side}: ${detail}`)
  },
})

/** A planted defect, to show that it is found. */
function plant(defect) {
  const { follow } = sides.on
  if (defect === 'no-licence') {
    for (const { board } of Object.values(sides)) {
      if (board !== undefined) Object.defineProperty(board, 'licensed', { value: true })
    }
  } else if (defect === 'deaf-follower' && follow !== undefined) {
    Object.assign(sides.on, {
      follow: (listener) => follow({ ...listener, changed: () => undefined }),
    })
  }
}

async function answer({ op, user, keys, value }) {
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
async function isTold() {
  const calledAt = performance.now()
  for (;;) {
    const { follower } = cache.health()
    if (follower === undefined) return false
    if (follower.live && follower.lagMs < performance.now() - calledAt - 1) return true
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

process.on('message', (question) => {
  const startedAt = performance.now()
  void answer(question).then(
    (result) => process.send({ result, ms: performance.now() - startedAt, events }),
    (error) => process.send({ error: String(error), events }),
  )
})
process.on('disconnect', () => process.exit())
// Both stores were asked who they are, and vouch for each other.
await Promise.all([
  cache.for({ targetingKey: 'off-user' }).get('-'),
  cache.for({ targetingKey: 'on-user' }).get('-'),
])
process.send('ready')
