import { existsSync, readdirSync, statSync } from 'node:fs'
import { Ajv } from 'ajv'
import { describe, expect, it } from 'vitest'
import { spoilt } from '../support/strictness.ts'
import { composeSchema } from './compose-schema.ts'
import { composeFile, dockerfile, execForm, finalStage, read, ROOT } from './containers.ts'

const validate = new Ajv({ strict: false, allErrors: true }).compile(composeSchema)

describe('docker-compose.yml', () => {
  const compose = composeFile()

  it('follows the Compose specification, least privilege included', () => {
    validate(compose)
    expect(validate.errors).toBeNull()
  })

  it.each<[string, object]>([
    ['a misspelt word', { enviroment: {} }],
    ['an image that moves', { image: 'redis:latest' }],
    ['a port for the whole world', { ports: ['3000:3000'] }],
    ['a value that YAML made a boolean', { environment: { A: false } }],
    ['a container that may gain privileges', { security_opt: undefined }],
    ['a container that keeps its capabilities', { cap_drop: ['NET_RAW'] }],
    ['both an image and a build', { build: '.' }],
    ['a health check in a shell string', { healthcheck: { test: 'redis-cli ping' } }],
  ])('would not pass with %s', (_, change) => {
    const redis = JSON.parse(JSON.stringify({ ...compose.services['redis'], ...change })) as object
    expect(validate({ services: { redis } })).toBe(false)
  })

  it('would not pass with a word too many or a value of another type, wherever', () => {
    // What begins with x- is for people and for YAML's own references.
    const { services, volumes } = compose
    const passed = [...spoilt({ services, volumes })].filter(({ value }) => validate(value))
    expect(passed.map(({ what }) => what)).toEqual([])
  })

  it('refers only to services and volumes that exist', () => {
    const volumes = Object.values(compose.services).flatMap((service) => service.volumes ?? [])
    for (const { type, source } of volumes) {
      if (type === 'volume') expect(Object.keys(compose.volumes ?? {})).toContain(source)
      else expect(statSync(new URL(source, ROOT)).isDirectory()).toBe(true)
    }
    for (const service of Object.values(compose.services)) {
      for (const [name, { condition }] of Object.entries(service.depends_on ?? {})) {
        expect(Object.keys(compose.services)).toContain(name)
        if (condition === 'service_healthy') {
          expect(compose.services[name]?.healthcheck).toBeDefined()
        }
      }
    }
  })

  it('gives flagd the flags directory, read-only, and no health check that its image cannot run', () => {
    const flagd = compose.services['flagd']
    expect(flagd?.image).toBe('ghcr.io/open-feature/flagd:v0.16.1')
    expect(flagd?.healthcheck).toBeUndefined()
    const [mount] = flagd?.volumes ?? []
    expect(mount).toMatchObject({ type: 'bind', source: './flags', read_only: true })
    const sources = JSON.parse(flagd?.command?.at(-1) ?? '[]') as { uri: string }[]
    for (const { uri } of sources) {
      expect(uri.startsWith(`${mount?.target}/`)).toBe(true)
      expect(existsSync(new URL(uri.replace(mount?.target ?? '', 'flags'), ROOT))).toBe(true)
    }
    // Its user is not ours: it reads the file as everybody else.
    for (const file of readdirSync(new URL('flags/', ROOT), { withFileTypes: true })) {
      if (!file.isFile()) continue
      expect(statSync(new URL(`flags/${file.name}`, ROOT)).mode & 0o004).toBe(0o004)
    }
  })
})

describe('Dockerfile', () => {
  it('ends as a user without privileges, with a health check and the command of npm start', () => {
    const stage = finalStage()
    const user = stage.findLast(({ word }) => word === 'USER')
    expect(user?.rest).toBe('node')
    const health = stage.find(({ word }) => word === 'HEALTHCHECK')
    expect(execForm(health?.rest ?? '')[0]).toBe('node')
    const [entry, command] = ['ENTRYPOINT', 'CMD'].map((word) =>
      execForm(stage.find((one) => one.word === word)?.rest ?? '').map((part) =>
        part.replace('/app/', ''),
      ),
    ) as [string[], string[]]
    const { scripts } = JSON.parse(read('package.json')) as { scripts: Record<string, string> }
    expect([...entry, ...command].join(' ')).toBe(scripts['start'])
    // A flags file in an image is a share that a deploy sets.
    expect(stage.filter(({ word, rest }) => word === 'COPY' && /flags/.test(rest))).toEqual([])
  })

  it('copies only what exists and what .dockerignore lets in', () => {
    const allowed = read('.dockerignore')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1))
    const copied = dockerfile()
      .filter(({ word, rest }) => word === 'COPY' && !rest.includes('--from'))
      .flatMap(({ rest }) => rest.split(' ').slice(0, -1))
    expect(copied.toSorted()).toEqual(allowed.toSorted())
    for (const source of copied) expect(existsSync(new URL(source, ROOT))).toBe(true)
  })
})
