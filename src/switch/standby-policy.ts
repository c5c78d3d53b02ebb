import { createStringFlag } from '../flags/index.ts'
import type { Notify } from './events.ts'
import { type CacheSwitchOptions, STANDBY_POLICIES, type StandbyPolicy } from './options.ts'

/** The standby policy in force now. */
export interface PolicySource {
  readonly read: () => StandbyPolicy
  readonly close: () => void
}

export function policySource(
  standby: NonNullable<CacheSwitchOptions['standby']>,
  notify: Notify,
  domain: string | undefined,
): PolicySource {
  if (typeof standby === 'string') return { read: () => standby, close: () => {} }
  const flag = createStringFlag({
    flag: standby.flag,
    allowed: STANDBY_POLICIES,
    fallback: 'invalidate',
    ...(domain === undefined ? {} : { domain }),
  })
  let last: StandbyPolicy | undefined
  return {
    read() {
      const policy = flag.current()
      if (policy !== last) {
        if (last !== undefined) notify({ type: 'standby-changed', detail: `${last} -> ${policy}` })
        last = policy
      }
      return policy
    },
    close: () => flag.close(),
  }
}
