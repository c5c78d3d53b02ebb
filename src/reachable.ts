import { connect } from 'node:net'

/** Where a server listens: a TCP port, or a Unix socket. */
export type Address =
  | { readonly host: string; readonly port: number }
  | { readonly socketPath: string }

/**
 * Whether connections are accepted there; a process that hangs still accepts them. Never rejects.
 */
export function isReachable(address: Address, timeoutMs: number = 300): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect('socketPath' in address ? { path: address.socketPath } : { ...address })
    const end = (reached: boolean): void => {
      socket.destroy()
      resolve(reached)
    }
    socket.setTimeout(timeoutMs, () => end(false))
    socket.once('connect', () => end(true))
    socket.once('error', () => end(false))
  })
}

export function addressText(address: Address): string {
  return 'socketPath' in address ? address.socketPath : `${address.host}:${address.port}`
}
