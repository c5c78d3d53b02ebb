import { createStringFlag } from '../../flags/index.ts'
import type { Notify } from '../events.ts'

/** What is to be done for the side that the flag did not pick. */
export interface StandbySource<T> {
  /** In force now. */
  readonly current: T
  close(): void
}

/** @param allowed the first of them is in force until the flag has answered */
export function standbySource<T extends string>(
  standby: T | { readonly flag: string },
  allowed: readonly T[],
  notify: Notify,
  domain: string | undefined,
): StandbySource<T> {
  if (typeof standby === 'string') return { current: standby, close: () => {} }
  const flag = createStringFlag({
    flag: standby.flag,
    allowed,
    fallback: allowed[0]!,
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
