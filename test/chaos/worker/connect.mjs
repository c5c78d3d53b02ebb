/** The cache under test, as an application would make it. */
import { Cluster, Redis } from 'ioredis'

/** As if this process saw the flag change whenever it does: the "user" is the side. */
export const randomSides = {
  decide: (context) => {
    const side = context.targetingKey
    return { side, variant: side, reason: 'SPLIT', errorCode: '', source: 'live' }
  },
  targetingKeyOf: (context) => context?.targetingKey,
  health: () => ({ ok: true, status: 'READY', since: 0, detail: '' }),
  close: async () => {},
}

/** As a service would have it: nothing outlives the connection that it was sent on. */
const FAST = { maxRetriesPerRequest: 0, socketTimeout: 1000, connectTimeout: 1000 }

export function redisClient({ kind, nodes, natMap, name, sentinels }) {
  const client =
    kind === 'cluster'
      ? new Cluster(nodes, {
          natMap,
          enableOfflineQueue: false,
          clusterRetryStrategy: () => 100,
          redisOptions: FAST,
        })
      : new Redis({
          sentinels,
          name,
          natMap,
          enableOfflineQueue: false,
          autoResendUnfulfilledCommands: false,
          retryStrategy: () => 100,
          sentinelRetryStrategy: () => 100,
          ...FAST,
        })
  client.on('error', () => {})
  return client
}

/** Makes caches of one process over `lib` (the built package). */
export function cacheMaker(lib, options, { notes, source, own, random, onUntold }) {
  const { connection, old, machines, directory, tombstoneTtls, stages, prefix, throwing, planted } =
    options
  /** Of a clear() of which only this process knows, or this machine: the other machines hear of it later. */
  const isUntold = (type, side, detail) =>
    old === undefined
      ? machines !== undefined &&
        side === 'on' &&
        type === 'fenced' &&
        detail.startsWith('clear failed')
      : type === 'ledger-failed'
  const told = (kind, ...words) => {
    notes.log(kind, '', ...words)
    if (throwing && random() < 0.5) throw new Error(`the listener of a ${kind} is broken`)
  }
  return (name) => {
    const tombstoneTtl = tombstoneTtls[Math.floor(random() * tombstoneTtls.length)]
    const stage = stages[Math.floor(random() * stages.length)]
    const redisOf = (where) =>
      lib.redisCache({
        ...(where.kind === 'standalone' ? { url: where.url } : { client: own }),
        prefix: name === 'cache' ? prefix : `${name}:`,
        tombstoneTtl,
      })
    const on = redisOf(connection)
    let off
    if (old !== undefined) off = redisOf(old)
    else if (machines === 'memory') off = lib.memoryCache({ tombstoneTtl })
    else off = lib.fileCache({ directory, tombstoneTtl })
    plant(planted, on, off)
    if (machines !== undefined) noteUnanswered(on, notes)
    loiter(off, options.slowLegs, options.legMs.off, random)
    loiter(on, options.slowLegs, options.legMs.on, random)
    const cache = lib.createCacheSwitch({
      flag: 'use-redis',
      name,
      decider: source?.createDecider({ flag: 'use-redis' }) ?? randomSides,
      off,
      on,
      ...stage,
      originConcurrency: options.originConcurrency,
      onEvent: ({ type, code, side = '', detail }) => {
        if (isUntold(type, side, detail)) onUntold()
        if (type === 'warning') told(type, code)
        else told('event', type, side, detail.replaceAll(/\s+/gu, ' '))
      },
    })
    notes.log('made', '', name, JSON.stringify(stage), `T ${tombstoneTtl}`)
    return cache
  }
}

/** A planted defect, to show that the harness finds what it looks for. */
function plant(planted, on, off) {
  if (planted === 'no-tombstones') {
    on.invalidate = async () => ({ done: true, existed: false, token: 'none' })
  }
  if (planted === 'no-ledger') {
    off.ledger.owes = () => false
    off.ledger.trustedFrom = () => 0
  }
  if (planted === 'no-licence') {
    for (const { board } of [on, off]) Object.defineProperty(board, 'licensed', { value: true })
  }
  if (planted === 'deaf-follower') {
    const { follow } = on
    on.follow = ({ began, refused }) => follow({ began, refused, changed: () => undefined })
  }
  // It takes a connection that is open for one that works.
  if (planted === 'trusting-follower') {
    const { follow } = on
    on.follow = (listener) =>
      Object.defineProperty(follow(listener), 'provenAt', {
        get: () => performance.now(),
        set() {},
      })
  }
}

/** A little less than the deadline of a side. */
const UNANSWERED_MS = 95

/** Notes when Redis does not say whether a cell of the own side is the latest: its reader goes on without. */
function noteUnanswered(on, notes) {
  const { follow } = on
  on.follow = (listener) => {
    const following = follow(listener)
    const ask = following.ask.bind(following)
    following.ask = async (key) => {
      const late = setTimeout(() => notes.log('unanswered', key), UNANSWERED_MS)
      try {
        return await ask(key)
      } catch (error) {
        notes.log('unanswered', key)
        throw error
      } finally {
        clearTimeout(late)
      }
    }
    return following
  }
}

/**
 * Some requests to a store wait on their way, and some answers on theirs, as on a machine that is busy
 * at the worst moment. The time by which a store must have taken a write runs from the call on, so what
 * waited for longer does not reach it.
 */
function loiter(backend, share, longestMs, random) {
  if (share === 0) return
  const pause = () => {
    const ms = random() < share ? random() ** 2 * longestMs : 0
    return ms === 0 ? undefined : new Promise((done) => setTimeout(done, ms))
  }
  const late = async (name, call, args, before) => {
    const calledAt = performance.now()
    await before
    const options = args.at(-1)
    const mayBeLate = name === 'read' || (name === 'invalidate' && !options.successor)
    if (!mayBeLate) {
      const within = options.within - (performance.now() - calledAt)
      if (within < 1) return { written: false, done: false, existed: false, token: '' }
      args[args.length - 1] = { ...options, within }
    }
    const answer = await call(...args)
    await pause()
    return answer
  }
  for (const name of ['read', 'write', 'invalidate']) {
    const call = backend[name].bind(backend)
    backend[name] = (...args) => {
      const before = pause()
      if (before === undefined && random() >= share) return call(...args)
      return late(name, call, args, before)
    }
  }
}
