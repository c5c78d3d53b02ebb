import { isSwitchbackError, messageOf } from '../../errors.ts'
import type { SharedNotes } from '../../guard/index.ts'
import type { FlagsFile } from '../../rollout/index.ts'

/** A place that other machines can reach, and a lease there. */
interface Leased {
  guardLease(name: string): Promise<SharedNotes['lease'] & Pick<SharedNotes, 'store'>>
}

/**
 * The lease and notes that guards on other machines share with this one; undefined for a file, whose
 * lease lies beside it.
 *
 * @param warn hears why there is none where there could be one
 */
export async function sharedNotes(
  file: FlagsFile,
  name: string,
  warn: (line: string) => void,
): Promise<SharedNotes | undefined> {
  if (typeof file === 'string' || !('guardLease' in file)) return undefined
  try {
    const lease = await (file as Leased).guardLease(name)
    return { lease, store: (local) => lease.store(local) }
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    // Without the API the guard cannot act at all, which it says itself.
    if (error.code !== 'SB_TARGET_MISSING' && error.code !== 'SB_KUBERNETES_DENIED')
      return undefined
    warn(
      `no lease: ${messageOf(error)}; a guard on another machine would act too. Apply lease and Role of deploy/kubernetes-api`,
    )
    return undefined
  }
}
