import { rmSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import type { Faults } from './fault.ts'
import type { Host } from './nets.ts'
import { pick } from './random.ts'

/** What befalls a whole machine or store in a network of the run's own. In the lane of the processes, as LINK_FAULTS. */
export const NET_FAULTS: Faults = {
  /** A machine without a network: its packets vanish, or it is told so. Some processes end meanwhile. */
  unplug: {
    lane: 'host',
    needs: 'nets',
    async strike({ workers, random }) {
      const worker = pick(workers, random)
      const host = worker.options.host!
      const ends = random() < 0.3
      await out(host, random)
      await delay(random() ** 2 * 4000)
      // Nobody hears of its end: the store has its connections for as long as it likes.
      if (ends) {
        await host.forget()
        await worker.stop()
      }
      await host.plugIn()
      if (ends) await worker.start()
    },
  },
  /** The store is gone for all, without a word. */
  unplugStore: {
    lane: 'redis',
    needs: 'nets',
    async strike({ redis, random }) {
      await out(redis.host!, random)
      await delay(random() ** 2 * 3000)
      await redis.host!.plugIn()
    },
  },
  /** A machine that cannot reach anybody, and so has writes of its own to deliver, is deleted; a new one takes its place. */
  replaceMachine: {
    lane: 'host',
    needs: 'nets',
    async strike({ workers, random }) {
      const worker = pick(workers, random)
      const host = worker.options.host!
      await host.unplug()
      await delay(300 + random() * 2000)
      await host.forget()
      await worker.stop()
      rmSync(worker.options.directory, { recursive: true, force: true })
      await host.plugIn()
      await worker.start()
    },
  },
}

function out(host: Host, random: () => number): Promise<void> {
  return random() < 0.6 ? host.unplug() : host.switchOff()
}
