import { setTimeout as delay } from 'node:timers/promises'
import type { Faults } from './fault.ts'
import { pick } from './random.ts'

/**
 * What befalls the way of one process to one store, while the others reach it. In the lane of the processes: where
 * one is cut off, no other one is stopped, or the fleet would be split (docs/guarantees.md).
 */
export const LINK_FAULTS: Faults = {
  cutLink: {
    lane: 'host',
    async strike({ links, random }) {
      const link = pick(pick(links, random), random)
      const way = pick([undefined, 'there', 'back'] as const, random)
      await link.stall(way)
      await delay(random() ** 2 * 4000)
      // What was on the way is lost, or arrives late.
      if (random() < 0.5) await link.cut()
      await link.resume()
    },
  },
  refuseLink: {
    lane: 'host',
    async strike({ links, random }) {
      const link = pick(pick(links, random), random)
      await link.refuse()
      await delay(random() ** 2 * 4000)
      await link.accept()
    },
  },
}
