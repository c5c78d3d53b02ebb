import { SwitchbackError } from '../../errors.ts'
import { readFlagSet } from '../../flagfile/index.ts'
import type { FlagsDocument } from './document.ts'
import type { Finding } from '../check/findings.ts'
import { validate } from '../check/validate.ts'

/** Why flagd refuses a text as a whole, and where; `undefined` when it accepts it. */
export function refusalIn(text: string): Finding | undefined {
  try {
    readFlagSet(text, 'flags.json')
    return undefined
  } catch {
    // The finding says the same, with its place.
    return validate(text).find(({ rejected }) => rejected)
  }
}

/**
 * For an edit of a file that flagd refuses as it is, e.g. because of another flag: writing it would
 * move no user.
 *
 * @throws {SwitchbackError} `SB_FLAGS_REFUSED`
 */
export function requireTaken({ text }: FlagsDocument): void {
  const refusal = refusalIn(text)
  if (refusal !== undefined) throw refusedError(refusal)
}

export function refusedError({ line, column, message, fix }: Finding): SwitchbackError {
  return new SwitchbackError(
    'SB_FLAGS_REFUSED',
    `nothing was written: flagd would refuse the file: line ${line}, column ${column}: ${message}`,
    { hint: fix },
  )
}
