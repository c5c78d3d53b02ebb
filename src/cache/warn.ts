import type { SwitchbackError } from '../errors.ts'

/** What happens to a warning that nobody asked for: one line on stderr, which begins with its code. */
export function warn({ code, message, hint }: SwitchbackError): void {
  console.warn(`${code}: ${message} ${hint}`.trimEnd())
}
