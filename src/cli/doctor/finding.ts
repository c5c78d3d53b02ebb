/** One check of the doctor. */
export interface DoctorFinding {
  /** What was looked at, e.g. `flags file`. */
  readonly check: string
  readonly state: 'ok' | 'warning' | 'problem' | 'skipped'
  readonly text: string
  /** What to do about it; `''` when nothing is needed. */
  readonly remedy: string
}

/** Nothing to do. */
export function ok(check: string, text: string): DoctorFinding {
  return { check, state: 'ok', text, remedy: '' }
}

/** It works, and will cause a problem some day. */
export function warning(check: string, text: string, remedy: string): DoctorFinding {
  return { check, state: 'warning', text, remedy }
}

/** It does not work. */
export function problem(check: string, text: string, remedy: string): DoctorFinding {
  return { check, state: 'problem', text, remedy }
}

/** Not looked at, and why. */
export function skipped(check: string, text: string): DoctorFinding {
  return { check, state: 'skipped', text, remedy: '' }
}
