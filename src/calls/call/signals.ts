/** The arguments for a side, and what belongs to its signal. */
export interface Signalled {
  readonly args: readonly unknown[]
  /** The caller's own; undefined where there is none. */
  readonly caller: AbortSignal | undefined
  /** Aborted at the deadline. */
  readonly own: AbortController
}

/**
 * Puts a signal of our own into the place of the caller's, so that a side that is given up on stops its
 * work, while the caller can still abort it. Only a signal itself and plain objects are such a place: a copy
 * of anything else would be something else.
 *
 * @param index the argument that holds it; undefined: the first that does
 * @returns undefined where there is no place for a signal
 */
export function withSignal(
  args: readonly unknown[],
  index: number | undefined,
): Signalled | undefined {
  const at = index ?? placeOf(args)
  return at < 0 ? undefined : signalledAt(args, at)
}

function signalledAt(args: readonly unknown[], at: number): Signalled | undefined {
  const given = args[at]
  const isPlace = given === undefined || given instanceof AbortSignal || isPlain(given)
  if (!isPlace) return undefined
  const caller = signalIn(given)
  const own = new AbortController()
  const signal = caller === undefined ? own.signal : AbortSignal.any([caller, own.signal])
  const copy = [...args]
  copy[at] = given instanceof AbortSignal ? signal : { ...(given as object | undefined), signal }
  return { args: copy, caller, own }
}

/** The arguments without the caller's signal. */
export function withoutSignal(args: readonly unknown[]): unknown[] {
  return args.map((arg) => {
    if (arg instanceof AbortSignal) return undefined
    if (signalIn(arg) === undefined) return arg
    const { signal: _, ...rest } = arg as { readonly signal: unknown }
    return rest
  })
}

function placeOf(args: readonly unknown[]): number {
  for (let i = 0; i < args.length; i++) if (signalIn(args[i]) !== undefined) return i
  return -1
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function signalIn(arg: unknown): AbortSignal | undefined {
  if (typeof arg !== 'object') return undefined
  if (arg instanceof AbortSignal) return arg
  if (!isPlain(arg)) return undefined
  const { signal } = arg as { readonly signal?: unknown }
  return signal instanceof AbortSignal ? signal : undefined
}
