import { SwitchbackError } from '../errors.ts'

/** The default for warnings: one line on stderr, which begins with its code. */
export function warn({ code, message, hint }: SwitchbackError): void {
  console.warn(`${code}: ${message} ${hint}`.trimEnd())
}

/** @param where what the processes share */
export function tombstoneTtlRaised(ms: number, longest: number, where: string): SwitchbackError {
  return new SwitchbackError(
    'SB_TOMBSTONE_TTL_RAISED',
    `tombstoneTtl ${ms} is shorter than the ${longest} ms that other processes use on ${where}; ${longest} ms is used.`,
    { hint: 'Give all processes the same tombstoneTtl. It never gets shorter there.' },
  )
}
