import type { CacheBackend } from '../backend.ts'

const WATCHED = new Set(['read', 'write', 'invalidate', 'clear', 'ping', 'now'])
/** Calls that are told with a failure. */
const TOLD = 4
const LONGEST = 120

interface Call {
  readonly name: string
  readonly args: readonly unknown[]
  answer: unknown
}

/** Keeps the latest calls to the backends of a case, for the report of its failure. */
export class Witness {
  readonly #calls: Call[] = []

  /** The backend itself, watched. */
  watch(backend: CacheBackend): CacheBackend {
    return new Proxy(backend, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        if (!WATCHED.has(String(name))) return value.bind(target) as unknown
        return (...args: unknown[]): unknown => this.#call(target, value, String(name), args)
      },
    })
  }

  /** The latest calls, the last one at the end. */
  toString(): string {
    const lines = this.#calls.map(({ name, args, answer }) => {
      const given = args.filter((arg) => arg !== undefined).map(brief)
      return `\n    ${name}(${given.join(', ')}) -> ${answer === PENDING ? 'no answer' : brief(answer)}`
    })
    return lines.length === 0 ? '' : `\n  the latest calls:${lines.join('')}`
  }

  #call(target: CacheBackend, method: Function, name: string, args: unknown[]): unknown {
    const call: Call = { name, args, answer: PENDING }
    if (name !== 'now' && this.#calls.push(call) > TOLD) this.#calls.shift()
    try {
      const answer: unknown = Reflect.apply(method, target, args)
      if (!(answer instanceof Promise)) return (call.answer = answer)
      return answer.then(
        (value: unknown) => (call.answer = value),
        (error: unknown) => {
          call.answer = error
          throw error
        },
      )
    } catch (error) {
      call.answer = error
      throw error
    }
  }
}

const PENDING = Symbol('pending')

function brief(value: unknown): string {
  const text = value instanceof Error ? `error ${value.message}` : JSON.stringify(value)
  if (text === undefined) return 'nothing'
  return text.length > LONGEST ? `${text.slice(0, LONGEST)}...` : text
}
