import type { CacheBackend } from '../../src/cache/index.ts'
import type { SwitchbackError } from '../../src/errors.ts'

/** The backend, whose warnings go to the listener, and not to stderr. */
export function withWarnings<B extends CacheBackend>(
  backend: B,
  listener: (warning: SwitchbackError) => void = () => undefined,
): B {
  backend.onWarning?.(listener)
  return backend
}
