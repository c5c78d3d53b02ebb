import { SwitchbackError } from './errors.ts'
import { LOAD } from './load-package.ts'
import type { LazyPackage } from './load-package.ts'

/** A package that the application installs when it uses what needs it. */
export type Peer = Exclude<LazyPackage, 'yaml'>

/**
 * Loads an optional peer dependency.
 *
 * @param needer what the user called, e.g. `redisCache`
 * @throws SwitchbackError `SB_PEER_MISSING` when it, or a peer of its own, is not installed
 */
export function loadPeer(name: Peer, needer: string): unknown {
  try {
    return LOAD[name]()
  } catch (error) {
    const missing = missingPackage(error)
    if (missing === undefined) throw error
    const told = new SwitchbackError('SB_PEER_MISSING', `${needer} needs "${missing}"`, {
      hint: `npm i ${missing}`,
    })
    // Node prints an error that nobody catches with its stack and those of its causes: thirty lines around the one
    // that counts. Which package is missing says all.
    told.stack = `${told.name}: ${told.message}`
    throw told
  }
}

/** The same, where doing without it is an answer. */
export function loadPeerIfThere(name: Peer): unknown {
  try {
    return LOAD[name]()
  } catch (error) {
    if (missingPackage(error) === name) return undefined
    throw error
  }
}

/** The package that was not found: the peer, or what the peer needs beside it. */
function missingPackage(error: unknown): string | undefined {
  // Jest's errors come from another realm: they are no instance of this one's Error.
  const { code, message } = error as Partial<NodeJS.ErrnoException>
  if (code !== 'MODULE_NOT_FOUND' && code !== 'ERR_MODULE_NOT_FOUND') return undefined
  return /Cannot find (?:module|package) '((?:@[^/']+\/)?[^/'.][^/']*)/.exec(message ?? '')?.[1]
}
