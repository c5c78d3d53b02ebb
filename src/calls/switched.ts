import type { Caller, Calls } from './calls.ts'
import type { MethodPlan } from './call/plan.ts'

const CALLER = Symbol('caller')

interface View {
  readonly [CALLER]?: Caller
}

/** Makes the service for a caller. */
export type ForCaller<T> = (caller: Caller) => T

const EVERYBODY: Caller = { context: undefined }

/**
 * A class of the service's own methods, each of which is a call of the switch. It is built once: the
 * service for another caller costs one object.
 *
 * @param planFor the plan of a method
 */
export function switched<T extends object>(
  services: readonly [T, T],
  named: readonly string[],
  planFor: (name: string) => MethodPlan,
  calls: Calls,
): ForCaller<T> {
  const prototype = {}
  for (const name of new Set([...named, ...membersOf(services)])) {
    const isMethod = named.includes(name) || services.every((one) => isMethodOf(one, name))
    const plan = isMethod ? planFor(name) : undefined
    Object.defineProperty(
      prototype,
      name,
      plan === undefined
        ? {
            enumerable: true,
            get(this: View) {
              return calls.property(name, this[CALLER] ?? EVERYBODY)
            },
          }
        : {
            enumerable: true,
            writable: true,
            // Taken off its object it is on behalf of the transaction's user.
            value(this: View | undefined, ...args: unknown[]): unknown {
              return calls.invoke(plan, this?.[CALLER] ?? EVERYBODY, args)
            },
          },
    )
  }
  class Service {
    readonly [CALLER]: Caller
    constructor(caller: Caller) {
      this[CALLER] = caller
    }
  }
  Object.setPrototypeOf(Service.prototype, prototype)
  return (caller) => new Service(caller) as unknown as T
}

/** What both have, their own and inherited. */
function membersOf([off, on]: readonly [object, object]): string[] {
  const names = new Set<string>()
  for (let at: object | null = off; at !== null && at !== Object.prototype;) {
    for (const name of Object.getOwnPropertyNames(at)) {
      if (name !== 'constructor' && name in on) names.add(name)
    }
    at = Object.getPrototypeOf(at) as object | null
  }
  return [...names]
}

/** Looks without running a getter. */
function isMethodOf(service: object, name: string): boolean {
  for (let at: object | null = service; at !== null;) {
    const descriptor = Object.getOwnPropertyDescriptor(at, name)
    if (descriptor !== undefined) return typeof descriptor.value === 'function'
    at = Object.getPrototypeOf(at) as object | null
  }
  return false
}
