import { rm, writeFile } from 'node:fs/promises'
import { findProgram } from './find-program.ts'
import { lastLine, run } from './run.ts'

export interface ObtainOptions {
  readonly env: Readonly<Record<string, string | undefined>>
  /** Receives one line before an installation begins. */
  readonly say?: (line: string) => void
  /** Whether we are root. @default asks the operating system */
  readonly root?: boolean
  /** Debian's policy on starting services. @default '/usr/sbin/policy-rc.d' */
  readonly policyFile?: string
  readonly signal?: AbortSignal
}

/** A program that we know how to find and to install. */
export interface Program {
  /** What people call it. */
  readonly title: string
  /** Its names on `PATH`, the preferred first. */
  readonly names: readonly [string, ...string[]]
  /** The environment variable that names one elsewhere. */
  readonly override: string
  /** Debian's package. */
  readonly aptPackage: string
}

/** A program's path, or why there is none. */
export type Obtained =
  | { readonly path: string; readonly installed: boolean }
  | { readonly path: undefined; readonly reason: string }

/** Time that a package manager may take, in milliseconds: a browser is a large download. */
const INSTALL_TIMEOUT_MS = 240_000

/** How long to wait for another apt-get to finish, in seconds (its own unit). */
const LOCK_TIMEOUT_S = 120

/** The program that the environment names, else the first on `PATH`. Installs nothing. */
export function locateProgram(program: Program, env: ObtainOptions['env']): string | undefined {
  const named = env[program.override] ?? ''
  return named === '' ? findProgram(program.names, env) : named
}

/**
 * A program: the installed one; else, as root where apt-get exists, one from the distribution's
 * package. `SWITCHBACK_NO_INSTALL=1` forbids installing.
 */
export async function obtainProgram(program: Program, options: ObtainOptions): Promise<Obtained> {
  const { env, say } = options
  const { title, aptPackage } = program
  const found = locateProgram(program, env)
  if (found !== undefined) return { path: found, installed: false }
  const missing = `no ${title} on PATH`
  const refusal = whyNotInstall(options)
  if (refusal !== undefined) return { path: undefined, reason: `${missing}, ${refusal}` }
  say?.(`installing ${aptPackage} with apt-get (SWITCHBACK_NO_INSTALL=1 forbids it)`)
  const failure = await aptInstall(aptPackage, options)
  if (failure !== undefined) return { path: undefined, reason: `${missing}, ${failure}` }
  const installed = locateProgram(program, env)
  return installed === undefined
    ? { path: undefined, reason: `${missing}, though apt-get installed ${aptPackage}` }
    : { path: installed, installed: true }
}

/** Why nothing may or can be installed with apt-get here; `undefined` when it can. */
function whyNotInstall(options: ObtainOptions): string | undefined {
  if (isInstallForbidden(options.env)) return 'and SWITCHBACK_NO_INSTALL forbids installing it'
  if (findProgram(['apt-get'], options.env) === undefined) return 'and no apt-get to install it'
  const root = options.root ?? process.getuid?.() === 0
  return root ? undefined : 'and installing it needs root'
}

/** Whether the user forbade installing and downloading programs. */
export function isInstallForbidden(env: ObtainOptions['env']): boolean {
  const value = env['SWITCHBACK_NO_INSTALL'] ?? ''
  return value !== '' && value !== '0' && value !== 'false'
}

/** Installs a package; resolves to why that failed, else to `undefined`. */
async function aptInstall(name: string, options: ObtainOptions): Promise<string | undefined> {
  const { env, signal } = options
  const settings = {
    timeoutMs: INSTALL_TIMEOUT_MS,
    env: { ...env, DEBIAN_FRONTEND: 'noninteractive' },
    ...(signal === undefined ? {} : { signal }),
  }
  const apt = findProgram(['apt-get'], env) ?? 'apt-get'
  const lock = ['-o', `DPkg::Lock::Timeout=${LOCK_TIMEOUT_S}`]
  const allowServices = await forbidServices(options.policyFile ?? '/usr/sbin/policy-rc.d')
  try {
    // Package lists are missing in fresh images and outdated in old ones; an update fixes both.
    const update = await run(apt, [...lock, 'update', '-qq'], settings)
    const install = [...lock, 'install', '-y', '--no-install-recommends', name]
    const result = await run(apt, install, settings)
    if (result.ok) return undefined
    return `and apt-get failed: ${lastLine((update.ok ? result : update).output)}`
  } finally {
    await allowServices()
  }
}

/**
 * Keeps Debian from starting the system service of the package: a server on the default port that
 * outlives us would be unexpected. Debian asks this file; exit code 101 is "no".
 */
async function forbidServices(policyFile: string): Promise<() => Promise<void>> {
  try {
    await writeFile(policyFile, '#!/bin/sh\nexit 101\n', { mode: 0o755, flag: 'wx' })
  } catch {
    // The administrator's own policy exists, or the file cannot be written: leave it.
    return async () => {}
  }
  return () => rm(policyFile, { force: true })
}
