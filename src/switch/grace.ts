/** When `getOrSet` serves a value that has expired. */
export interface Grace {
  /** Until so long after its expiry. */
  readonly graceMs: number
  /** Once its caller has waited so long; `undefined`: only when the loader fails. */
  readonly softMs: number | undefined
}

/**
 * What is being loaded; when that fails, or takes too long, what `stale` finds. `undefined` from there: there is
 * nothing to serve, and the caller waits, or hears of the failure.
 */
export async function withGrace<T>(
  loading: Promise<T>,
  { softMs }: Grace,
  stale: () => Promise<T | undefined>,
): Promise<T> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<boolean>((resolve) => {
    if (softMs !== undefined) timer = setTimeout(() => resolve(false), softMs)
  })
  const loaded = loading.then(
    () => true,
    () => false,
  )
  const isLoaded = await Promise.race([loaded, late])
  clearTimeout(timer)
  const served = isLoaded ? undefined : await stale()
  return served ?? loading
}
