/** `npm run test:simulation:files -- --seed N --seconds S`: walks through the file store's system calls. */
import { parseArgs } from 'node:util'
import { walk } from './files-walk.ts'
import { realNow } from './machine.ts'

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    walks: { type: 'string', default: '1000000' },
    seconds: { type: 'string', default: '60' },
    fences: { type: 'string', default: 'yes' },
    steps: { type: 'string', default: '120' },
  },
})
const started = realNow()
const first = Number(values.seed)
let done = 0
for (let seed = first; seed < first + Number(values.walks); seed += 1) {
  if (realNow() - started > Number(values.seconds) * 1000) break
  const wrong = await walk(seed, Number(values.steps), values.fences === 'yes')
  done += 1
  if (wrong.length === 0) continue
  console.log(`seed ${seed}: ${wrong.join('\n  ')}`)
  process.exit(1)
}
console.log(`${done} walks, nothing wrong`)
