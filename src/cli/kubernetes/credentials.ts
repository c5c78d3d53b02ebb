import { execFile } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import { promisify } from 'node:util'
import { messageOf, quote, SwitchbackError } from '../../errors.ts'
import type { Cluster, ExecPlugin } from './kubeconfig.ts'

/** What goes with a request. */
export interface Credentials {
  readonly token?: string | undefined
  readonly cert?: string | undefined
  readonly key?: string | undefined
}

const run = promisify(execFile)
/** A program that logs in by a browser does not end in time; then a person has to log in first. */
const PLUGIN_MS = 20_000

/** Finds what says who asks, and asks a program only when what it said has expired. */
export class CredentialSource {
  readonly #cluster: Cluster
  readonly #env: Readonly<Record<string, string | undefined>>
  #told: { readonly credentials: Credentials; readonly until: number } | undefined

  constructor(cluster: Cluster, env: Readonly<Record<string, string | undefined>>) {
    this.#cluster = cluster
    this.#env = env
  }

  /** The server refused what was given: a program is asked again. */
  forget(): void {
    this.#told = undefined
  }

  /** @throws {SwitchbackError} `SB_KUBERNETES_CONFIG` */
  async get(): Promise<Credentials> {
    const { user } = this.#cluster
    const { token, tokenFile, cert, key, exec } = user
    if (tokenFile !== undefined) {
      const text = await readFile(tokenFile, 'utf8').catch((cause: unknown) => {
        throw configError(`cannot read the token ${quote(tokenFile)}`, 'log in again', cause)
      })
      return { token: text.trim(), cert, key }
    }
    if (exec === undefined) return { token, cert, key }
    if (this.#told === undefined || this.#told.until <= Date.now()) {
      this.#told = await askPlugin(exec, this.#env)
    }
    return this.#told.credentials
  }
}

async function askPlugin(
  { command, args, env, apiVersion, directory, installHint }: ExecPlugin,
  own: Readonly<Record<string, string | undefined>>,
): Promise<{ credentials: Credentials; until: number }> {
  const info = { apiVersion, kind: 'ExecCredential', spec: { interactive: false } }
  const hint = installHint.split('\n', 1)[0] || `run ${command} yourself; kubectl needs it too`
  // A path is relative to the kubeconfig, a bare name is looked up in PATH.
  const program = command.includes('/') ? resolve(directory, command) : command
  let text: string
  try {
    const { stdout } = await run(program, [...args], {
      env: { ...own, ...env, KUBERNETES_EXEC_INFO: JSON.stringify(info) },
      timeout: PLUGIN_MS,
    })
    text = stdout
  } catch (cause) {
    const why = messageOf(cause).split('\n', 1)[0] ?? ''
    throw configError(`the credential program of the kubeconfig failed: ${why}`, hint, cause)
  }
  try {
    const { status } = JSON.parse(text) as { readonly status: Record<string, string> }
    const { token, clientCertificateData: cert, clientKeyData: key, expirationTimestamp } = status
    if (token === undefined && cert === undefined) throw new Error('it prints no credentials')
    const until = expirationTimestamp === undefined ? Infinity : Date.parse(expirationTimestamp)
    return { credentials: { token, cert, key }, until: Number.isNaN(until) ? 0 : until - 10_000 }
  } catch (cause) {
    throw configError(`${quote(command)} printed no ExecCredential with a status`, hint, cause)
  }
}

function configError(message: string, hint: string, cause: unknown): SwitchbackError {
  return new SwitchbackError('SB_KUBERNETES_CONFIG', message, { hint, cause })
}
