import { setTimeout as delay } from 'node:timers/promises'
import { now } from './clock.ts'
import { serversSaying } from './failover-faults.ts'
import type { Struck } from './fault.ts'
import type { RedisStage } from './stage.ts'

const LOOK_MS = 250

/**
 * Notes as `twoMasters` when a store has two of them: a dead master that came back, until its Sentinel has
 * demoted it (some ten seconds later), or one that was demoted, until it knows.
 */
export function watchMasters(stages: readonly RedisStage[], struck: Struck[]): () => void {
  const ended = new AbortController()
  const watch = async (stage: RedisStage): Promise<void> => {
    let [lookedAt, at] = [now(), -1]
    while (!ended.signal.aborted) {
      const { length } = await serversSaying(stage, 'role:master')
      const two = length > 1
      if (two && at < 0) {
        at = struck.push({ name: 'twoMasters', from: lookedAt, to: Number.POSITIVE_INFINITY }) - 1
      } else if (!two && at >= 0) {
        struck[at] = { ...struck[at]!, to: now() }
        at = -1
      }
      lookedAt = now()
      await delay(LOOK_MS)
    }
  }
  for (const stage of stages) if (stage.topology === 'sentinel') void watch(stage)
  return () => ended.abort()
}
