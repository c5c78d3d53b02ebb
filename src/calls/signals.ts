/** The arguments for a side, and what belongs to its signal. */
export interface Signalled {
  readonly args: readonly unknown[]
  /** The caller's own; undefined where there is none. */
  readonly caller: AbortSignal | undefined
  /** Aborted at the deadline; undefined where there is no place for a signal. */
  readonly own: AbortController | undefined
}

/**
 * Puts a signal of our own into the place of the caller's, so that a side that is given up on stops its
 * work, while the caller can still abort it.
 *
 * @param index the argument that holds it; undefined: the first that does
 */
export function withSignal(args: readonly unknown[], index: number | undefined): Signalled {
  const at = index ?? placeOf(args)
  if (at < 0) return { args, caller: undefined, own: undefined }
  const given = args[at]
  const caller = signalIn(given)
  const own = new AbortController()
  const signal = caller === undefined ? own.signal : AbortSignal.any([caller, own.signal])
  const bare = given instanceof AbortSignal || (given === undefined && args.length > at)
  const copy = [...args]
  copy[at] = bare ? signal : { ...(given as object | undefined), signal }
  return { args: copy, caller, own }
}

function placeOf(args: readonly unknown[]): number {
  for (let i = 0; i < args.length; i++) if (signalIn(args[i]) !== undefined) return i
  return -1
}

function signalIn(arg: unknown): AbortSignal | undefined {
  if (typeof arg !== 'object' || arg === null) return undefined
  if (arg instanceof AbortSignal) return arg
  const { signal } = arg as { readonly signal?: unknown }
  return signal instanceof AbortSignal ? signal : undefined
}
