import { createStringFlag } from '../flags/index.ts'
import type { Notify } from './events.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES, type StandbyPolicy } from './options.ts'

export interface PolicySource {
  /** The standby policy in force now. */
  readonly current: StandbyPolicy
  close(): void
}

export function policySource(
  standby: NonNullable<CacheSwitchOptions['standby']>,
  notify: Notify,
  domain: string | undefined,
): PolicySource {
  if (typeof standby === 'string') return { current: standby, close: () => {} }
  const flag = createStringFlag({
    flag: standby.flag,
    allowed: STANDBY_POLICIES,
    fallback: 'invalidate',
    onChange: (detail) => notify({ type: 'standby-changed', detail }),
    ...(domain === undefined ? {} : { domain }),
  })
  return {
    get current() {
      return flag.current()
    },
    close: () => flag.close(),
  }
}
