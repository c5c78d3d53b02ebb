import { messageOf } from './errors.ts'

/**
 * Makes a listener of the application safe to call: what it throws or rejects with is reported once
 * on stderr and then dropped, since a failing logger must not end the process or fail a request.
 */
export function safeListener<Args extends unknown[]>(
  name: string,
  listener: (...args: Args) => unknown,
): (...args: Args) => void {
  let told = false
  const tell = (error: unknown): void => {
    if (told) return
    told = true
    console.warn(`switchback: the listener ${name} failed: ${messageOf(error)}`)
  }
  return (...args) => {
    try {
      const result = listener(...args)
      if (result instanceof Promise) result.catch(tell)
    } catch (error) {
      tell(error)
    }
  }
}
