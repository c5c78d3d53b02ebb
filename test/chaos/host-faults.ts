import { setTimeout as delay } from 'node:timers/promises'
import type { Faults, Scene } from './fault.ts'
import { pick } from './random.ts'
import type { Worker } from './workers.ts'

/** What befalls the machine of the application: its processes and its clock. */
export const HOST_FAULTS: Faults = {
  killProcess: {
    lane: 'host',
    async strike({ workers, random }) {
      await pick(workers, random).killAndRestart()
    },
  },
  /** Somebody restarts what does not come up, ten times a second. */
  killOften: {
    lane: 'host',
    async strike({ workers, random }) {
      for (let i = 0; i < 10; i += 1) {
        const worker = pick(workers, random)
        await Promise.all([worker.stop(), delay(100)])
        // Often killed again before it has come up.
        worker.start().catch(() => undefined)
      }
      for (const worker of workers) {
        await worker.stop()
        await worker.start()
      }
    },
  },
  /** Shorter than half of a tombstone's life, from which on an old value may be stored. */
  freezeProcess: {
    lane: 'host',
    async strike(scene) {
      const worker = pick(scene.workers, scene.random)
      await stop(scene, worker, scene.random() ** 2 * 2500)
    },
  },
  /** Moments, so that some of them hit between a look and what follows from it. */
  freezeShortly: {
    lane: 'host',
    async strike(scene) {
      for (let i = 0; i < 40; i += 1) {
        await stop(scene, pick(scene.workers, scene.random), scene.random() ** 2 * 30)
        await delay(scene.random() * 10)
      }
    },
  },
  /** All processes of the machine end, and come up with another boot id; what is on disk stays. */
  reboot: {
    lane: 'host',
    needs: 'boots',
    async strike({ workers, boots }) {
      await Promise.all(workers.map((worker) => worker.stop()))
      boots!.reboot()
      await Promise.all(workers.map((worker) => worker.start()))
    },
  },
  restartAll: {
    lane: 'host',
    async strike({ workers, random }) {
      await Promise.all(workers.map((worker) => worker.stop()))
      await delay(random() * 500)
      await Promise.all(workers.map((worker) => worker.start()))
    },
  },
  /** The machine's clock: its processes and a Redis on it jump together. */
  clockJump: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const { app, redis } = clocks!
      const ms = jump(random) - app.ahead
      redis.step(ms)
      app.step(ms)
    },
  },
  /** The machine's clock is wrong by an hour, and put right: its processes and its Redis. */
  stepHour: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const { app, redis } = clocks!
      const ms = random() < 0.5 ? HOUR_MS : -HOUR_MS
      const lasting = 500 + random() * 3000
      for (const step of [ms, -ms]) {
        redis.step(step)
        app.step(step)
        await delay(lasting)
      }
    },
  },
  /** The same on the machine alone; Redis runs elsewhere. */
  stepHost: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const ms = (random() < 0.5 ? 1 : -1) * (random() < 0.5 ? HOUR_MS : 3000)
      const lasting = 500 + random() * 3000
      clocks!.app.step(ms)
      await delay(lasting)
      clocks!.app.step(-ms)
    },
  },
  /** The clock of Redis alone. */
  stepRedis: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const ms = (random() < 0.5 ? 1 : -1) * (random() < 0.5 ? HOUR_MS : 3000)
      const lasting = 500 + random() * 3000
      clocks!.redis.step(ms)
      await delay(lasting)
      clocks!.redis.step(-ms)
    },
  },
  /** Out and back again, on one side only, by less than the margin for clocks that differ. */
  clockSkew: {
    lane: 'host',
    needs: 'clocks',
    async strike({ clocks, random }) {
      const clock = random() < 0.5 ? clocks!.app : clocks!.redis
      const ms = (random() * 2 - 1) * SKEW_MS
      const lasting = random() * 1000
      clock.step(ms)
      await delay(lasting)
      clock.step(-Math.round(ms))
    },
  },
}

async function stop({ ground }: Scene, worker: Worker, ms: number): Promise<void> {
  const began = performance.now()
  worker.signal('SIGSTOP')
  await delay(ms)
  ground.stopped(worker.options.index, performance.now() - began)
  worker.signal('SIGCONT')
}

/** Further back, and what was distrusted before would be so for most of the run. */
const JUMP_MS = 5000
const SKEW_MS = 1500
const HOUR_MS = 3_600_000

function jump(random: () => number): number {
  return (random() * 2 - 1) * JUMP_MS
}
