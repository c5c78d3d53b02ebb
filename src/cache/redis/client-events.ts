import type { SwitchbackError } from '../../errors.ts'
import type { OwnClient, RedisClient } from './client.ts'
import { redisError } from './errors.ts'

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

/**
 * One warning for each time Redis is lost, and no `error` event that nobody handles. Returns the way
 * to stop warning.
 */
export function warnOfLosses(
  client: OwnClient,
  onWarning: (warning: SwitchbackError) => void,
): () => void {
  let warned = false
  let reason = new Error('the connection was lost')
  client.on('error', (error: Error) => {
    reason = error
  })
  client.on('ready', () => {
    warned = false
    reason = new Error('the connection was lost')
  })
  const onClose = (): void => {
    if (warned) return
    warned = true
    onWarning(redisError(reason))
  }
  client.on('close', onClose)
  return () => client.off('close', onClose)
}
