import { setTimeout as delay } from 'node:timers/promises'

export interface SampleTrafficOptions {
  /** The reference service. */
  readonly url: string
  /** Requests a second. @default 20 */
  readonly perSecond?: number
  /** How many users ask; a few of them ask more often, as in practice. @default 500 */
  readonly users?: number
  readonly signal: AbortSignal
}

/**
 * A little HTTP traffic, mostly reads, now and then a change, so that the metrics and the control
 * page show something. Ends with the signal; never rejects.
 */
export async function sampleTraffic(options: SampleTrafficOptions): Promise<void> {
  const { url, perSecond = 20, users = 500, signal } = options
  while (!signal.aborted) {
    // Squared, so that low numbers come more often.
    const user = `${url}/users/user_${Math.floor(Math.random() ** 2 * users)}`
    const act = Math.random()
    try {
      await (act < 0.02
        ? put(user, signal)
        : act < 0.03
          ? read(`${user}/cache`, { method: 'DELETE', signal })
          : read(user, { signal }))
    } catch {
      // The service is stopping, or too busy for sample traffic.
    }
    await delay((1000 / perSecond) * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
  }
}

function put(user: string, signal: AbortSignal): Promise<void> {
  return read(user, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ data: `UserData of ${new Date().toISOString()}` }),
    signal,
  })
}

async function read(url: string, init: RequestInit): Promise<void> {
  const response = await fetch(url, init)
  await response.arrayBuffer()
}
