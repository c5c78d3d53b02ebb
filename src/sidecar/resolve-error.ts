import type { ErrorCode } from './flag-set.ts'

/** There is no answer; says so in flagd's words. */
export class ResolveError extends Error {
  readonly errorCode: ErrorCode

  constructor(errorCode: ErrorCode) {
    super(MESSAGES[errorCode])
    this.errorCode = errorCode
  }
}

const MESSAGES: Record<ErrorCode, string> = {
  FLAG_NOT_FOUND: 'Flag not found',
  PARSE_ERROR: 'Error parsing input or configuration',
  TYPE_MISMATCH: 'Type mismatch error',
  GENERAL: 'General error',
}
