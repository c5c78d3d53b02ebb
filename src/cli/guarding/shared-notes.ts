import { isSwitchbackError, messageOf } from '../../errors.ts'
import type { PublishedStatus, SharedNotes } from '../../guard/index.ts'
import type { FlagsFile } from '../../rollout/index.ts'

/** A place that other machines can reach, and a lease there. */
interface Leased {
  guardLease(name: string): Promise<SharedNotes['lease'] & Omit<SharedNotes, 'lease'>>
  guardStatus(): Promise<PublishedStatus | undefined>
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
  if (!isLeased(file)) return undefined
  try {
    const lease = await file.guardLease(name)
    return {
      lease,
      store: (local) => lease.store(local),
      publish: (status) => lease.publish(status),
    }
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

/** What the guard that acts on another machine has told last; undefined for a file, or when it cannot be read. */
export async function sharedStatus(file: FlagsFile): Promise<PublishedStatus | undefined> {
  if (!isLeased(file)) return undefined
  // A page goes on without it: what it cannot reach it says of the flags themselves.
  return file.guardStatus().catch(() => undefined)
}

function isLeased(file: FlagsFile): file is FlagsFile & Leased {
  return typeof file !== 'string' && 'guardLease' in file
}
