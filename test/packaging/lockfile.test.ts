import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'

interface Locked {
  readonly version?: string
  readonly optionalDependencies?: Readonly<Record<string, string>>
  readonly resolved?: string
}

const text = readFileSync(new URL('../../package-lock.json', import.meta.url), 'utf8')
const { packages } = JSON.parse(text) as { packages: Record<string, Locked> }

describe('the lockfile', () => {
  it('names no registry host', () => {
    expect(text).not.toMatch(/"resolved"|https?:\/\/registry/)
  })

  it('has the builds for every platform, which npm 11 insists on', () => {
    const names = new Set(Object.keys(packages).map((path) => path.split('node_modules/').at(-1)))
    const missing = Object.values(packages)
      .flatMap(({ optionalDependencies = {} }) => Object.keys(optionalDependencies))
      .filter((name) => !names.has(name))
    expect(missing).toEqual([])
    for (const [path, { version }] of Object.entries(packages)) expect(version, path).toBeDefined()
  })
})
