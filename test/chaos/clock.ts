/** As the workers tell it: the machine's monotonic clock, in microseconds. */
export function now(): number {
  return Number(process.hrtime.bigint() / 1000n)
}
