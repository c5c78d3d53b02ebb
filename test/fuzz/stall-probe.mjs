// Loaded into a process under attack (`--import`): says over IPC for how long its event loop stood still
// at most since it was last asked, and which prototypes have changed.
const PERIOD_MS = 5
const guarded = { Object, Array, Function, String, Number, Map, Promise, RegExp, Error }
const ownKeys = () =>
  Object.entries(guarded).map(([name, { prototype }]) => [
    name,
    Reflect.ownKeys(prototype).map(String).join(),
  ])
const before = new Map(ownKeys())

let longest = 0
let at = performance.now()
let cpu = process.cpuUsage()

// Of the time on the clock and that on the processor the smaller one: waiting is no stall, and neither is
// a processor that others use.
function look() {
  const now = performance.now()
  const used = process.cpuUsage()
  const worked = (used.user + used.system - cpu.user - cpu.system) / 1000
  longest = Math.max(longest, Math.min(now - at, worked))
  at = now
  cpu = used
}

setInterval(look, PERIOD_MS).unref()

process.on('message', (message) => {
  if (message !== 'report') return
  look()
  const polluted = ownKeys().filter(([name, keys]) => before.get(name) !== keys)
  const { rss } = process.memoryUsage()
  process.send({ longestStallMs: longest, polluted, rss })
  longest = 0
})
process.channel?.unref()
