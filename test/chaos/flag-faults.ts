import { writeFileSync } from 'node:fs'
import { setTimeout as delay } from 'node:timers/promises'
import { useRedis } from '../support/flags-files.ts'
import type { Faults } from './fault.ts'
import { pick } from './random.ts'

const SHARES = [0, 10, 25, 50, 75, 100]

/** What befalls the flag source, and the changes that it is there for. */
export const FLAG_FAULTS: Faults = {
  editFlags: {
    lane: 'flags',
    async strike({ flags, random }) {
      flags.write(useRedis(pick(SHARES, random)))
    },
  },
  /** Somebody saves a half-written file in place, and mends it after a while. */
  breakFlags: {
    lane: 'flags',
    async strike({ flags, random }) {
      const [share, cut, lasting] = [pick(SHARES, random), random(), random() * 1500]
      const text = JSON.stringify(useRedis(share))
      writeFileSync(flags.path, text.slice(0, Math.floor(cut * text.length)))
      await delay(lasting)
      flags.write(text)
    },
  },
  killFlagSource: {
    lane: 'flags',
    needs: 'sidecar',
    async strike({ sidecar, random }) {
      await sidecar!.kill()
      await delay(random() * 1500)
      await sidecar!.restart()
    },
  },
  hangFlagSource: {
    lane: 'flags',
    needs: 'sidecar',
    async strike({ sidecar, random }) {
      sidecar!.freeze()
      await delay(random() * 2500)
      sidecar!.thaw()
    },
  },
  flapFlagSource: {
    lane: 'flags',
    needs: 'sidecar',
    async strike({ sidecar, random }) {
      for (let i = 0; i < 3; i += 1) {
        const pause = random() * 300
        await sidecar!.kill()
        await delay(pause)
        await sidecar!.restart()
      }
    },
  },
}
