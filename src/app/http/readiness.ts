import type { FlagConfiguration, FlagHealth, LiveSplit } from '../../flags/index.ts'
import type { CacheHealth } from '../../switch/index.ts'

/** The answer of `/readyz`. */
export interface Readiness {
  /** `degraded`: requests are served, but something is wrong. */
  readonly status: 'ok' | 'degraded'
  readonly checks: Readonly<Record<string, Check>>
}

interface Check {
  readonly ok: boolean
  /** The provider's status, or the backend's name. */
  readonly what: string
  /** What is wrong, for people; absent when all is well. */
  readonly detail?: string
  /** Since when it is out, ISO 8601; absent while it is in. */
  readonly since?: string
  /** How many of the probe users this process sends to the new side. */
  readonly split?: {
    readonly on: number
    readonly probes: number
    readonly kind: 'exact' | 'sample'
    /** When they were last evaluated, ISO 8601. */
    readonly at: string
    /** Since when that number is unchanged, ISO 8601. */
    readonly since: string
  }
  /** The flag's definition in force, where it is known. */
  readonly configuration?: {
    readonly hash: string
    /** ISO 8601. */
    readonly since?: string
    readonly refused?: { readonly reason: string; readonly since: string }
  }
  /** Invalidations that this side has not received yet; absent when there is none. */
  readonly owed?: number
}

/**
 * Reports what is degraded. None of it makes the service unready: it serves without Redis, flagd or
 * both.
 */
export function readinessOf(health: CacheHealth): Readiness {
  const { flags, off, on, follower } = health
  const checks = {
    flags: {
      ...check(flags.ok, flags.status, flags.detail),
      ...since(flags.ok ? 0 : flags.since),
      ...decided(flags),
    },
    off: { ...check(off.ok, off.backend, off.detail), ...since(off.outSince), ...owed(off.owed) },
    on: { ...check(on.ok, on.backend, on.detail), ...since(on.outSince), ...owed(on.owed) },
    ...(follower && {
      follower: {
        ...check(follower.ok, follower.backend, follower.detail),
        ...since(follower.outSince),
      },
    }),
  }
  return { status: health.ok ? 'ok' : 'degraded', checks }
}

function check(ok: boolean, what: string, detail: string): Check {
  return detail === '' ? { ok, what } : { ok, what, detail }
}

function decided({ liveSplit, configuration }: FlagHealth): Pick<Check, 'split' | 'configuration'> {
  return {
    ...(liveSplit && { split: splitOf(liveSplit) }),
    ...(configuration && { configuration: configurationOf(configuration) }),
  }
}

function splitOf({ on, probes, kind, at, since }: LiveSplit): NonNullable<Check['split']> {
  return { on, probes, kind, at: iso(at), since: iso(since) }
}

function configurationOf(known: FlagConfiguration): NonNullable<Check['configuration']> {
  const { hash, since, refused } = known
  return {
    hash,
    ...(since !== undefined && { since: iso(since) }),
    ...(refused && { refused: { reason: refused.reason, since: iso(refused.since) } }),
  }
}

function iso(epochMs: number): string {
  return new Date(epochMs).toISOString()
}

/** @param at epoch milliseconds; 0: not out */
function since(at: number): { readonly since?: string } {
  return at === 0 ? {} : { since: iso(at) }
}

function owed(count: number): { readonly owed?: number } {
  return count === 0 ? {} : { owed: count }
}
