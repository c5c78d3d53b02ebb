/** Most milliseconds for which any input may hold the thread. */
export const MOST_STALL_MS = 50

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
