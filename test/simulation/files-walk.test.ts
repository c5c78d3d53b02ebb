import { expect, test } from 'vitest'
import { walk } from './files-walk.ts'
import { inFull } from '../support/full.ts'

const WALKS = inFull(5, 12)

test(
  `${WALKS} walks through the file store, interrupted between its system calls`,
  { timeout: 300_000 },
  async () => {
    for (let seed = 1; seed <= WALKS; seed += 1) {
      const wrong = await walk(seed, 100)
      expect(wrong, `npm run test:simulation:files -- --seed ${seed}`).toEqual([])
    }
  },
)
