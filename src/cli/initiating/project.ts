import { existsSync, readFileSync } from 'node:fs'
import { oneLine } from '../../errors.ts'
import { usageError } from '../framework/command.ts'

export const FRAMEWORKS = ['nestjs', 'next', 'fastify', 'koa', 'express', 'plain'] as const

export type Framework = (typeof FRAMEWORKS)[number]

/** What the code that is printed has to fit. */
export interface Project {
  readonly framework: Framework
  readonly language: 'ts' | 'mjs' | 'cjs'
  /** Packages of Switchback's that it does not depend on yet. */
  readonly missing: readonly string[]
}

const PACKAGES: Readonly<Record<string, Framework>> = {
  '@nestjs/core': 'nestjs',
  next: 'next',
  fastify: 'fastify',
  koa: 'koa',
  express: 'express',
}
const NEEDED = [
  'openfeature-switchback',
  '@openfeature/server-sdk',
  '@openfeature/flagd-provider',
  'ioredis',
]

/** Looks at package.json in the working directory. */
export function findProject(): Project {
  const manifest = readManifest()
  const names = new Set([
    ...Object.keys(manifest.dependencies ?? {}),
    ...Object.keys(manifest.devDependencies ?? {}),
  ])
  const found = Object.entries(PACKAGES).find(([name]) => names.has(name))
  const framework = found?.[1] ?? 'plain'
  const typed = framework === 'nestjs' || existsSync('tsconfig.json') || names.has('typescript')
  const language = typed ? 'ts' : manifest.type === 'module' || framework === 'next' ? 'mjs' : 'cjs'
  return { framework, language, missing: NEEDED.filter((name) => !names.has(name)) }
}

interface Manifest {
  readonly type?: unknown
  readonly dependencies?: object
  readonly devDependencies?: object
}

function readManifest(): Manifest {
  if (!existsSync('package.json')) {
    throw usageError('there is no package.json here', 'run it in the directory of the service')
  }
  try {
    const parsed = JSON.parse(readFileSync('package.json', 'utf8')) as unknown
    if (typeof parsed === 'object' && parsed !== null) return parsed
  } catch (error) {
    throw usageError(`package.json cannot be read: ${oneLine(error)}`, 'correct it first')
  }
  throw usageError('package.json is not an object', 'correct it first')
}
