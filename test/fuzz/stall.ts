/**
 * Most milliseconds for which any input may hold the thread. The aim is 50 on a machine of its own
 * (`npm run test:fuzz -- --stall 50`). In `npm test` it only tells work that grows with the input (which
 * takes seconds) from work that does not, since a busy machine makes everything several times slower.
 */
export const MOST_STALL_MS: number = Number(process.env['SWITCHBACK_STALL_MS'] ?? 1_000)

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
