/**
 * What has not come after so many milliseconds does not come. It bounds nothing that is promised: a
 * machine that is busy with other work makes everything slow, and no test of it wrong.
 */
export const HUNG_MS = 45_000

/** Waits until the condition holds; fails loudly when it does not within the deadline. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number = HUNG_MS,
): Promise<void> {
  const end = performance.now() + deadlineMs
  while (!(await condition())) {
    if (performance.now() > end) throw new Error(`not within ${deadlineMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
