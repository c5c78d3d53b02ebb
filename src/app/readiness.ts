import type { CacheHealth } from '../switch/index.ts'

/** The answer of `/readyz`. */
export interface Readiness {
  /** `degraded`: requests are served, but not everything is as it should be. */
  readonly status: 'ok' | 'degraded'
  readonly checks: Readonly<Record<string, Check>>
}

interface Check {
  readonly ok: boolean
  /** The provider's status, or the backend's name. */
  readonly what: string
  /** What is wrong, for people; absent when all is well. */
  readonly detail?: string
  /** Invalidations that this side has not received yet; absent when there is none. */
  readonly owed?: number
}

/** Says what is degraded. Nothing of it makes the service unready: without Redis, flagd or both it serves. */
export function readinessOf(health: CacheHealth): Readiness {
  const { flags, off, on } = health
  const checks = {
    flags: check(flags.ok, flags.status, flags.detail),
    off: { ...check(off.ok, off.backend, off.detail), ...owed(off.owed) },
    on: { ...check(on.ok, on.backend, on.detail), ...owed(on.owed) },
  }
  return { status: health.ok ? 'ok' : 'degraded', checks }
}

function check(ok: boolean, what: string, detail: string): Check {
  return detail === '' ? { ok, what } : { ok, what, detail }
}

function owed(count: number): { readonly owed?: number } {
  return count === 0 ? {} : { owed: count }
}
