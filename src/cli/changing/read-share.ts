import { isSwitchbackError } from '../../errors.ts'
import { parseShare } from '../../rollout/index.ts'
import { usageError } from '../framework/command.ts'

/** A share from the command line; a wrong one is bad usage. */
export function readShare(text: string): string {
  try {
    parseShare(text)
    return text
  } catch (error) {
    if (isSwitchbackError(error)) throw usageError(error.message, error.hint ?? '')
    throw error
  }
}
