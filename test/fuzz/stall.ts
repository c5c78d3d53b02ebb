/**
 * Most milliseconds for which any input may hold the thread. The aim is 50 on a machine of its own
 * (`npm run test:fuzz -- --stall 50`); where others share its processors, even the time on the processor
 * doubles, and a test that fails for that is worth nothing. What it is there to find takes seconds.
 */
export const MOST_STALL_MS: number = Number(process.env['SWITCHBACK_STALL_MS'] ?? 150)

/**
 * Milliseconds for which a call held the thread. Of the time on the clock and that on the processor the
 * smaller one, since a busy machine takes the processor away and garbage is collected by other threads.
 * What took longer than it may is measured twice more, and the shortest counts: code that was not
 * compiled yet is slow once.
 */
export async function longestStall(
  call: () => void | Promise<void>,
  mostMs: number,
): Promise<number> {
  let shortest = Infinity
  for (let attempt = 0; attempt < 3; attempt++) {
    const cpu = process.cpuUsage()
    const started = performance.now()
    const running = call()
    const wall = performance.now() - started
    const { user, system } = process.cpuUsage(cpu)
    shortest = Math.min(shortest, wall, (user + system) / 1000)
    await running
    if (shortest <= mostMs) break
  }
  return shortest
}

/**
 * For how long the event loop of this process stood still at most while something was under way, in
 * milliseconds; measured as {@link longestStall} does.
 */
export async function longestPause(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let at = performance.now()
  let cpu = process.cpuUsage()
  const look = (): void => {
    const { user, system } = process.cpuUsage(cpu)
    longest = Math.max(longest, Math.min(performance.now() - at, (user + system) / 1000))
    at = performance.now()
    cpu = process.cpuUsage()
  }
  const timer = setInterval(look, 5)
  try {
    await work()
  } finally {
    clearInterval(timer)
  }
  look()
  return longest
}
