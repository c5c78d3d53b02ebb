import type { CacheBackend } from '../cache/index.ts'
import { withHint } from '../errors.ts'
import { deciderOf, type FlagChoice, registerFlagGauges } from '../flags/index.ts'
import { safeListener } from '../listeners.ts'
import { otherSide, type Side } from '../side.ts'
import {
  Comparisons,
  noTelemetry,
  registerCoherenceGauges,
  registerHealthGauges,
} from '../telemetry/index.ts'
import { Background } from './background/background.ts'
import { Boards } from './truth/boards.ts'
import { type CacheSwitch, SwitchedCache } from './cache-switch.ts'
import { checkCacheSwitchOptions } from './check-cache-switch-options.ts'
import { Coherence } from './truth/coherence.ts'
import { Debts } from './truth/debts.ts'
import { eventOf, logEvent, type Notify } from './events.ts'
import { Follower } from './truth/follower.ts'
import { GuardedSide } from './sides/guarded-side.ts'
import { type SideHealth, whySkewed } from './sides/health.ts'
import { Loads } from './reads/loads.ts'
import { Moves } from './reads/moves.ts'
import { checkPlaces, notePlaces } from './open-places.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES } from './options.ts'
import { Origin } from './reads/origin.ts'
import { standbySource } from './sides/standby-policy.ts'
import { UnderWay } from './background/under-way.ts'
import { Upkeep } from './background/upkeep.ts'
import { Generations } from './namespace.ts'
import { jsonCodec, Values } from './values.ts'

const DEFAULT_DEADLINE_MS = 100
const UPKEEP_MS = 250
/** How long closing may take to tell the sides what only this process knows. */
const SETTLE_MS = 1000

/**
 * A cache with two implementations: the flag says per user which one serves, and the switch keeps
 * them telling one truth, so that a user may change sides at any time.
 *
 * Closing it closes both backends, and the decider unless one was passed in.
 *
 * @throws SwitchbackError `SB_OPTION_INVALID` for an option that cannot work.
 */
export function createCacheSwitch(options: CacheSwitchOptions & FlagChoice): CacheSwitch {
  checkCacheSwitchOptions(options)
  const name = options.name ?? 'cache'
  const backends = [options.off, options.on]
  checkPlaces(name, backends)
  const recorder = options.telemetry ?? noTelemetry
  const listener = safeListener('onEvent', options.onEvent ?? logEvent)
  const tell: Notify = (notice) => listener(eventOf(notice))
  let closing = false
  // The last operations of an orderly stop must not raise an alarm.
  const notify: Notify = (notice) => {
    if (!closing) tell(notice)
  }

  const decider = deciderOf(options, name, ({ level, message }) =>
    notify({ type: 'flags', level, detail: message }),
  )
  const guard = (side: Side): GuardedSide =>
    new GuardedSide({
      side,
      backend: options[side],
      deadlineMs: deadlineOf(options, side),
      breaker: options.breaker ?? {},
      recorder,
      notify,
    })
  const sides = { off: guard('off'), on: guard('on') }
  const ledger = options.off.ledger ?? options.on.ledger
  const haveBoards = ledger === undefined && backends.every(({ board }) => board !== undefined)
  const pair = pairOf(name, backends)
  for (const side of ['off', 'on'] as const) {
    const backend = options[side]
    backend.onWarning?.((warning) => {
      const detail = withHint(warning)
      notify({ type: 'warning', side, backend: backend.name, code: warning.code, detail })
    })
    backend.join?.({
      pair,
      owner: () => ledger?.place ?? '',
      others: () => follower?.noted === true,
      stand: () => debts.stand(side),
      paired: haveBoards,
      readable: (payload) => values.decode(payload) !== undefined,
    })
  }
  const maxOwed = options.maxOwed ?? 10_000
  const boards = haveBoards ? new Boards({ sides, maxOwed, recorder, notify }) : undefined
  const debts = new Debts({
    ledger,
    boards,
    sides,
    renews: ledger !== undefined,
    onHeard: (heard) => follower?.heard(heard),
    maxOwed,
    recorder,
    notify,
  })
  const upkeep = new Upkeep({ sides, debts, intervalMs: UPKEEP_MS, recorder, notify })
  const policy = standbySource(
    options.standby ?? 'invalidate',
    STANDBY_POLICIES,
    notify,
    options.flags?.domain,
  )
  const comparisons = new Comparisons(recorder, (key) => {
    const detail = `${options.off.name} and ${options.on.name} differ for key sha256:${key}`
    notify({ type: 'mismatch', detail })
  })
  const limit = options.maxBackground ?? 64
  const background = new Background({ debts, recorder, comparisons, limit })
  const own = privateSide(options)
  const follower =
    own &&
    new Follower({
      own: sides[own],
      shared: sides[otherSide(own)],
      debts,
      recorder,
      notify,
      near: ledger === undefined ? 'process' : 'machine',
    })
  const coherence = new Coherence({ debts, recorder, follower })
  const moves = new Moves({ debts, recorder, follower })
  const values = new Values({
    codec: options.codec ?? jsonCodec,
    maxValueBytes: options.maxValueBytes ?? 1_048_576,
    defaultTtl: options.defaultTtl,
    ttlJitter: options.ttlJitter ?? 0,
    notify,
  })
  const losses = recorder.losses?.()
  const origin = new Origin({
    concurrency: options.originConcurrency ?? 64,
    queue: options.originQueue ?? 10_000,
    loadMs: options.loadMs ?? 30_000,
  })
  const underWay = new UnderWay()
  const generations = new Generations(sides)
  const less = promisesLess(options)
  if (less !== '') notify({ type: 'promises-less', detail: less })
  const unsubscribe = Object.values(sides).map((side) =>
    side.backend.onEra?.((heard) => debts.heard(side.side, heard)),
  )

  const sideHealth = (side: Side): SideHealth => {
    const { backend, outSince, lastFailure, usable } = sides[side]
    const owed = debts.count(side)
    const detail =
      (usable ? debts.whyUnused(side) || whySkewed(backend, options.defaultTtl) : lastFailure) ||
      (owed > 0 ? `${owed} invalidations pending` : '')
    return {
      ok: detail === '',
      backend: backend.name,
      outSince,
      owed,
      foreign: backend.foreign ?? 0,
      detail,
    }
  }

  const removeGauges = [
    registerHealthGauges(
      recorder,
      name,
      { off: options.off.name, on: options.on.name },
      sideHealth,
      () => decider.health().ok,
    ),
    registerCoherenceGauges(
      recorder,
      name,
      { off: options.off.name, on: options.on.name },
      {
        stage: options.retire === undefined ? 'both' : `retire-${options.retire}`,
        licensed: boards && ((side) => boards.licensed(side)),
        following: follower && (() => follower.health()),
      },
    ),
    registerFlagGauges({ recorder, decider, flag: options.flag }),
  ]

  const leavePlaces = notePlaces(name, backends)

  return new SwitchedCache({
    name,
    sides,
    decider,
    policy,
    retired: options.retire,
    underWay,
    coherence,
    generations,
    loads: new Loads({ coherence, moves, background, origin, values, losses, recorder }),
    losses,
    debts,
    background,
    values,
    recorder,
    compareShare: options.compareShare ?? 0.01,
    follower,
    health: () => {
      const [off, on, flags] = [sideHealth('off'), sideHealth('on'), decider.health()]
      const following = follower?.health()
      const ok = off.ok && on.ok && flags.ok && following?.ok !== false
      return { ok, off, on, flags, ...(following && { follower: following }) }
    },
    close: async () => {
      closing = true
      leavePlaces()
      await underWay.close()
      for (const stop of unsubscribe) stop?.()
      for (const remove of removeGauges) remove()
      await background.drain()
      await upkeep.settleUp(SETTLE_MS)
      await upkeep.close()
      boards?.close()
      follower?.close()
      tellWhatIsLeft(sides, debts, tell)
      for (const side of Object.values(sides)) side.close()
      policy.close()
      if (options.decider === undefined) await decider.close()
      await Promise.all([options.off.close(), options.on.close()])
    },
  })
}

/** Under which the two stores know each other; `''`: nothing was named. */
export function pairOf(name: string, backends: readonly CacheBackend[]): string {
  const spaces = backends.map(({ space = '' }) => space).join('')
  return name === 'cache' && spaces === '' ? '' : `${name}\n${spaces}`
}

function deadlineOf(options: CacheSwitchOptions, side: Side): number {
  const { deadlineMs } = options
  const given = typeof deadlineMs === 'number' ? deadlineMs : deadlineMs?.[side]
  return given ?? DEFAULT_DEADLINE_MS
}

/** The side that only this machine, or this process, has, beside one that all share. */
function privateSide({ off, on }: CacheSwitchOptions): Side | undefined {
  const [offShared, onShared] = [off.shared === true, on.shared === true]
  if (offShared === onShared) return undefined
  return offShared ? 'on' : 'off'
}

/** What more than one process could not rely on with this pair; `''` for nothing, or where the follower says it. */
function promisesLess({ off, on }: CacheSwitchOptions): string {
  const inProcess = [off, on].filter(
    ({ shared, ledger }) => shared !== true && ledger === undefined,
  )
  const shared = [off, on].filter((one) => one.shared === true)
  if (inProcess.length === 1 && shared.length === 0) {
    return `${inProcess[0]!.name} is in the memory of one process, and does not hear what other processes write: its users see that when its values expire. Use it where one process runs, or beside a Redis that is not a Cluster`
  }
  // Redis has a board. Whatever else others use too keeps nothing for them all to look at.
  if (inProcess.length === 1 || shared.every(({ board }) => board !== undefined)) return ''
  return `${off.name} and ${on.name} have no common place for pending invalidations: an invalidation that one process could not deliver is unknown to the others until it is delivered. Use a fileCache or Redis for each side, where more than one process runs`
}

function tellWhatIsLeft(
  sides: Readonly<Record<Side, GuardedSide>>,
  debts: Debts,
  notify: Notify,
): void {
  for (const { side, backend } of Object.values(sides)) {
    const left = debts.remembered(side)
    if (left === 0) continue
    const detail = `closed with ${left} invalidations that ${backend.name} did not take and nobody else knows: other processes may serve the old values until they expire`
    notify({ type: 'debts-left', side, backend: backend.name, detail })
  }
}
