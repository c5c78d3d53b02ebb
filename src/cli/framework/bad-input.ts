/**
 * Codes of errors in the caller's input: the command line, a variable, a flags file that is missing or broken. They end
 * with exit code 2, all others with 1.
 */
const badInput: ReadonlySet<string> = new Set([
  'SB_USAGE',
  'SB_CONTROL_TOKEN_MISSING',
  'SB_CONTROL_TOKEN_WEAK',
  'SB_FILE_MISSING',
  'SB_FILE_UNREADABLE',
  'SB_FLAGD_URL',
  'SB_FLAG_BROKEN',
  'SB_FLAG_UNKNOWN',
  'SB_FLAGS_ENVIRONMENT',
  'SB_FLAGS_FILE_MISSING',
  'SB_FLAGS_INVALID',
  'SB_FLAGS_REFUSED',
  'SB_FLAGS_SYNTAX',
  'SB_FLAGS_TOO_LARGE',
  'SB_GUARD_CANNOT_ACT',
  'SB_KUBERNETES_CONFIG',
  'SB_METRICS_URL_INVALID',
  'SB_OPTION_INVALID',
  'SB_PILOT_INVALID',
  'SB_PLAN_INVALID',
  'SB_REDIS_URL',
  'SB_SELECTOR_INVALID',
  'SB_SHARE_INVALID',
  'SB_SYSTEM_INPUT',
  'SB_TARGET_MISSING',
  'SB_USERS_INVALID',
])

/** Whether an error concerns the caller's input. */
export function isBadInput(code: string): boolean {
  return badInput.has(code)
}
