import { isSwitchbackError, SwitchbackError } from '../../errors.ts'

/** The clone cannot be changed, or its text is not what all others have; the hint is what to do, and no more. */
export function state(message: string, remedy: string): SwitchbackError {
  return new SwitchbackError('SB_GIT_STATE', message, { hint: remedy })
}

/** The same error where something was to be written. */
export function unwritten(error: unknown): unknown {
  if (!isSwitchbackError(error) || !error.code.startsWith('SB_GIT_')) return error
  const { code, message, hint = '' } = error
  const remedy = hint === '' ? 'nothing was written' : `nothing was written; ${hint}`
  return new SwitchbackError(code, message, { hint: remedy, cause: error })
}
