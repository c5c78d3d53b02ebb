import { createStringFlag, type StringFlag } from '../flags/index.ts'
import type { Notify } from './events.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES, type StandbyPolicy } from './options.ts'

/** The standby policy in force now. */
export function policySource(
  standby: NonNullable<CacheSwitchOptions['standby']>,
  notify: Notify,
  domain: string | undefined,
): StringFlag<StandbyPolicy> {
  if (typeof standby === 'string') return { current: () => standby, close: () => {} }
  return createStringFlag({
    flag: standby.flag,
    allowed: STANDBY_POLICIES,
    fallback: 'invalidate',
    onChange: (detail) => notify({ type: 'standby-changed', detail }),
    ...(domain === undefined ? {} : { domain }),
  })
}
