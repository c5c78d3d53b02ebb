import type { DecisionContext } from '../flags/index.ts'
import type { Calls } from './calls.ts'
import type { MethodPlan } from './call/method-plan.ts'

const CONTEXT = Symbol('context')

interface View {
  readonly [CONTEXT]?: DecisionContext | undefined
}

/** Makes the service for a user; undefined: for whoever `within` or the transaction says. */
export type ForCaller<T> = (context: DecisionContext | undefined) => T

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
              return calls.property(name, this[CONTEXT])
            },
          }
        : {
            enumerable: true,
            writable: true,
            // Taken off its object it is on behalf of the transaction's user.
            value(this: View | undefined, ...args: unknown[]): unknown {
              return calls.invoke(plan, this?.[CONTEXT], args)
            },
          },
    )
  }
  class Service {
    readonly [CONTEXT]: DecisionContext | undefined
    constructor(context: DecisionContext | undefined) {
      this[CONTEXT] = context
    }
  }
  Object.setPrototypeOf(Service.prototype, prototype)
  return (context) => new Service(context) as unknown as T
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
