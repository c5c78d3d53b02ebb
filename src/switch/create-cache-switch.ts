import type { CacheBackend } from '../cache/index.ts'
import { SwitchbackError, quote } from '../errors.ts'
import { createDecider, createStringFlag } from '../flags/index.ts'
import type { Side } from '../side.ts'
import { noTelemetry } from '../telemetry/index.ts'
import { Background } from './background.ts'
import { type CacheSwitch, SwitchedCache } from './cache-switch.ts'
import { jsonCodec } from './codec.ts'
import { Coherence } from './coherence.ts'
import { Debts } from './debts.ts'
import { Engine } from './engine.ts'
import { logEvent } from './events.ts'
import { registerGauges } from './gauges.ts'
import { GuardedSide } from './guarded-side.ts'
import type { SideHealth } from './health.ts'
import { IdleWatch } from './idle-watch.ts'
import { Loads } from './loads.ts'
import { Losses } from './losses.ts'
import { Moves } from './moves.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES, type StandbyPolicy } from './options.ts'
import { Origin } from './origin.ts'
import { Pinning } from './pinning.ts'
import { Replay } from './replay.ts'
import { PolicyWatch, unusedSide } from './standby-policy.ts'
import { Values } from './values.ts'

const DEFAULT_DEADLINE_MS = 100
const REPLAY_INTERVAL_MS = 250
const IDLE_LOOK_MS = 1000
const RESET_REASON = 'the store was replaced or restarted and may have lost acknowledged deletes'

/**
 * A cache with two implementations: the flag says per user which one serves, and the switch keeps them
 * telling one truth, so that a user may move to the other side and back at any time.
 *
 * Closing it closes both backends, and the decider unless one was passed in.
 *
 * @throws SwitchbackError `SB_OPTION_INVALID` for an option that cannot work.
 */
export function createCacheSwitch(options: CacheSwitchOptions): CacheSwitch {
  const recorder = options.telemetry ?? noTelemetry
  const notify = options.onEvent ?? logEvent
  const name = options.name ?? 'cache'
  check(options)

  const decider = options.decider ?? createDecider({ flag: options.flag, feature: name })
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
  const debts = new Debts({
    ledger,
    sides,
    maxOwed: options.maxOwed ?? 10_000,
    recorder,
    notify,
  })
  const fleet = options.fleet ?? false
  const replay = new Replay({
    sides,
    debts,
    intervalMs: REPLAY_INTERVAL_MS,
    fleet,
    recorder,
    notify,
  })
  const policy = policyOf(options.standby ?? 'invalidate')
  const idleWatch = new IdleWatch({
    sides,
    unused: () => unusedSide(policy.read()),
    intervalMs: IDLE_LOOK_MS,
  })
  const background = new Background({ debts, recorder, notify, limit: options.maxBackground ?? 64 })
  const coherence = new Coherence({ debts, recorder })
  const moves = new Moves({ debts, recorder, fleet })
  const values = new Values({
    codec: options.codec ?? jsonCodec,
    maxValueBytes: options.maxValueBytes ?? 1_048_576,
    defaultTtl: options.defaultTtl,
    notify,
  })
  const losses = new Losses(recorder)
  const origin = new Origin(options.originConcurrency ?? 64)
  const engine = new Engine({
    sides,
    pinning: new Pinning({
      sides,
      decider,
      policy: new PolicyWatch({ read: policy.read, debts, notify }),
      recorder,
    }),
    coherence,
    loads: new Loads({ coherence, moves, background, origin, values, losses, recorder }),
    losses,
    debts,
    background,
    values,
    recorder,
    compareShare: options.compareShare ?? 0.01,
  })
  const unsubscribe = Object.values(sides).map((side) =>
    // Awaited by the backend before it serves again.
    side.backend.onReset?.(
      (before) => debts.fence(side.side, RESET_REASON, before),
      ledger?.knownServers?.(side.side),
    ),
  )

  const removeGauges = registerGauges({ name, recorder, sides, debts, decider })

  const sideHealth = (side: Side): SideHealth => {
    const { backend, outSince, lastFailure, usable } = sides[side]
    const owed = debts.count(side)
    const detail = usable ? (owed > 0 ? `${owed} invalidations owed` : '') : lastFailure
    return { ok: usable && owed === 0, backend: backend.name, outSince, owed, detail }
  }

  return new SwitchedCache({
    engine,
    health: () => {
      const [off, on, flags] = [sideHealth('off'), sideHealth('on'), decider.health()]
      return { ok: off.ok && on.ok && flags.ok, off, on, flags }
    },
    close: async () => {
      for (const stop of unsubscribe) stop?.()
      removeGauges()
      idleWatch.close()
      await background.drain()
      await replay.close()
      for (const side of Object.values(sides)) side.close()
      policy.close()
      if (options.decider === undefined) await decider.close()
      await Promise.all([options.off.close(), options.on.close()])
    },
  })
}

interface PolicySource {
  readonly read: () => StandbyPolicy
  readonly close: () => void
}

function policyOf(standby: NonNullable<CacheSwitchOptions['standby']>): PolicySource {
  if (typeof standby === 'string') return { read: () => standby, close: () => {} }
  const flag = createStringFlag({
    flag: standby.flag,
    allowed: STANDBY_POLICIES,
    fallback: 'invalidate',
  })
  return { read: () => flag.current(), close: () => flag.close() }
}

function deadlineOf(options: CacheSwitchOptions, side: Side): number {
  const { deadlineMs } = options
  const given = typeof deadlineMs === 'number' ? deadlineMs : deadlineMs?.[side]
  return given ?? DEFAULT_DEADLINE_MS
}

function check(options: CacheSwitchOptions): void {
  requireThat(typeof options.flag === 'string' && options.flag !== '', 'flag', options.flag)
  for (const side of ['off', 'on'] as const) {
    requireThat(isBackend(options[side]), side, options[side])
    requireThat(deadlineOf(options, side) > 0, 'deadlineMs', options.deadlineMs)
  }
  requireThat(options.off !== options.on, 'on', 'the same store as off')
  const { standby } = options
  if (typeof standby === 'string') {
    requireThat(STANDBY_POLICIES.includes(standby), 'standby', standby)
  }
  const share = options.compareShare ?? 0
  requireThat(share >= 0 && share <= 1, 'compareShare', share)
  requireThat((options.originConcurrency ?? 1) >= 1, 'originConcurrency', options.originConcurrency)
}

function isBackend(value: Partial<CacheBackend> | undefined): boolean {
  return typeof value?.read === 'function' && typeof value.invalidate === 'function'
}

function requireThat(holds: boolean, option: string, value: unknown): void {
  if (holds) return
  throw new SwitchbackError(
    'SB_OPTION_INVALID',
    `createCacheSwitch: ${option} cannot be ${quote(value)}`,
    { hint: 'see CacheSwitchOptions for what it means and its default' },
  )
}
