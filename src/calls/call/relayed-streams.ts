import type { Deadlines } from '../../switch/index.ts'

export function isStream(value: unknown): value is AsyncIterable<unknown> {
  if (typeof value !== 'object' || value === null) return false
  return typeof (value as Partial<AsyncIterable<unknown>>)[Symbol.asyncIterator] === 'function'
}

/** Passes the items on; each has to come within the deadline. Who stops early ends the source too. */
export async function* relay(
  source: AsyncIterable<unknown>,
  deadlines: Deadlines,
): AsyncGenerator<unknown> {
  const items = source[Symbol.asyncIterator]()
  let waits = false
  let ended = false
  try {
    for (;;) {
      waits = true
      const { done, value } = await deadlines.hold(Promise.resolve(items.next()))
      waits = false
      ended = done === true
      if (ended) return
      yield value
    }
  } finally {
    if (!ended) {
      const stopped = Promise.resolve(items.return?.()).catch(() => {})
      // What did not come in time does not come to an end in time either.
      if (!waits) await deadlines.hold(stopped).catch(() => {})
    }
  }
}

/**
 * The stream with all that it has besides, but iterated by `iterate`.
 * @param elsewhere called when it is used in another way (`pipe`, `getReader`), where nobody can watch
 */
export function overlay(
  stream: AsyncIterable<unknown>,
  iterate: () => AsyncGenerator<unknown>,
  elsewhere: () => void,
): unknown {
  if ('next' in stream) return iterate()
  return new Proxy(stream, {
    get(target, name) {
      if (name === Symbol.asyncIterator) return iterate
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        elsewhere()
        return Reflect.apply(value, target, args)
      }
    },
  })
}
