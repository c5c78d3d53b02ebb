import type { SwitchbackError } from '../../../errors.ts'
import type { OwnClient, RedisClient } from './redis-client.ts'
import { redisError } from '../redis-errors.ts'
import { transportFault } from './transport.ts'
import type { RedisAddress } from './url.ts'

/** Resolves when a client that is connecting has connected or failed to; `undefined` when it is not. */
export function firstAttempt(client: RedisClient): Promise<void> | undefined {
  if (client.status !== 'connecting' && client.status !== 'connect') return undefined
  return new Promise((resolve) => {
    const events = ['ready', 'close', 'end'] as const
    const settled = (): void => {
      for (const event of events) client.off(event, settled)
      resolve()
    }
    for (const event of events) client.on(event, settled)
  })
}

/** What a connection ends with when only one of its ends speaks TLS, among other reasons. */
const UNDERSTANDS_NOTHING: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ETIMEDOUT',
  'EPROTO',
  'EPIPE',
])

/**
 * One warning for each time Redis is lost, and no `error` event that nobody handles. Returns the way
 * to stop warning.
 */
export function warnOfLosses(
  client: OwnClient,
  address: RedisAddress,
  onWarning: (warning: SwitchbackError) => void,
): () => void {
  let warned = false
  let served = false
  let reason = new Error('the connection was lost')
  client.on('error', (error: Error) => {
    reason = error
  })
  client.on('ready', () => {
    warned = false
    served = true
    reason = new Error('the connection was lost')
  })
  const onClose = (): void => {
    if (warned) return
    warned = true
    const lost = redisError(reason)
    const { code = '' } = reason as NodeJS.ErrnoException
    if (served || !UNDERSTANDS_NOTHING.has(code)) onWarning(lost)
    else void transportFault(address).then((fault) => onWarning(fault ?? lost))
  }
  client.on('close', onClose)
  return () => client.off('close', onClose)
}
