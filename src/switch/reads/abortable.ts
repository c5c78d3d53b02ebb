/** The result of a shared operation, or the signal's reason as soon as it aborts. */
export function abortable<T>(shared: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise<T>((resolve, reject) => {
    const onAbort = (): void => reject(signal.reason)
    signal.addEventListener('abort', onAbort, { once: true })
    if (signal.aborted) onAbort()
    shared.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  })
}
