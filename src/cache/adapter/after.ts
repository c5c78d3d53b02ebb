import type { MaybePromise } from '../backend.ts'

/** The next step: at once after a value, later after a promise. */
export function after<T, R>(
  value: T | PromiseLike<T>,
  step: (value: T) => MaybePromise<R>,
): MaybePromise<R> {
  return isThenable(value) ? Promise.resolve(value).then(step) : step(value)
}

function isThenable<T>(value: T | PromiseLike<T>): value is PromiseLike<T> {
  return typeof (value as { readonly then?: unknown } | undefined | null)?.then === 'function'
}
