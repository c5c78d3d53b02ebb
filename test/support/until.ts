/**
 * What has not come after so many milliseconds does not come. It bounds nothing that is promised: a
 * machine that is busy with other work makes everything slow, and no test of it wrong.
 */
export const HUNG_MS = 45_000

/** A pause between two looks is never longer. */
const LONGEST_PAUSE_MS = 250

/**
 * Lets others work between two looks: four times as long as the last look took, and a tenth of the wait so far.
 * Whoever asks without a pause keeps from its work what it waits for, and all tests beside it.
 */
export function pause(begun: number, looked: number): Promise<void> {
  const now = performance.now()
  const ms = Math.min(LONGEST_PAUSE_MS, Math.max(10, 4 * (now - looked), (now - begun) / 10))
  return new Promise((resolve) => setTimeout(resolve, ms))
}

/** Waits until the condition holds; fails loudly when it does not within the deadline. */
export async function until(
  what: string,
  condition: () => boolean | Promise<boolean>,
  deadlineMs: number = HUNG_MS,
): Promise<void> {
  const begun = performance.now()
  for (let looked = begun; !(await condition()); looked = performance.now()) {
    if (performance.now() - begun > deadlineMs) {
      throw new Error(`not within ${deadlineMs} ms: ${what}`)
    }
    await pause(begun, looked)
  }
}
