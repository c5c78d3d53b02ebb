import { afterEach, expect } from 'vitest'

const GUARDED = { Object, Array, Function, String, Number, Map, Promise, RegExp, Error }

function ownKeys(): Record<string, PropertyKey[]> {
  return Object.fromEntries(
    Object.entries(GUARDED).map(([name, { prototype }]) => [name, Reflect.ownKeys(prototype)]),
  )
}

const before = ownKeys()

/** After each test of the file: no prototype has got or lost a property. */
export function guardPrototypes(): void {
  afterEach(() => {
    expect(ownKeys()).toEqual(before)
    expect(({} as { polluted?: unknown }).polluted).toBeUndefined()
  })
}
