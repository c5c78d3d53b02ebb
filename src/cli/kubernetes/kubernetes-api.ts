import { Agent as HttpAgent, type IncomingMessage, request as httpRequest } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { setTimeout as sleep } from 'node:timers/promises'
import { messageOf, SwitchbackError } from '../../errors.ts'
import { CredentialSource, type Credentials } from './credentials.ts'
import type { Cluster } from './kubeconfig.ts'

/** An object as the API has it; what is not looked at goes back as it came. */
export interface KubernetesObject {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: {
    readonly name: string
    readonly namespace: string
    readonly resourceVersion: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
    readonly [more: string]: unknown
  }
  readonly [more: string]: unknown
}

/** Where an object is: `/api/v1/namespaces/shop/configmaps/flags`, and its names in messages. */
export interface ObjectPath {
  readonly path: string
  /** E.g. `the ConfigMap "flags" in the namespace "shop"`. */
  readonly name: string
  /** The rights that a change needs, for the remedy of a 403. */
  readonly rights: string
  /** What to do when the server does not know the kind at all. */
  readonly noKind: string
}

/** Thrown by {@link KubernetesApi.put} when the object is no longer the one that was read. */
export class ConflictError extends Error {}

export interface KubernetesApiOptions {
  readonly cluster: Cluster
  readonly env: Readonly<Record<string, string | undefined>>
  /** From a request to the end of its answer, in ms. @default 5000 */
  readonly timeoutMs?: number
}

/** Larger than any object that etcd takes. */
const MOST_BYTES = 8 * 1024 * 1024
/** For a busy server, one that is restarting behind its load balancer, or one that has not read its Roles yet. */
const PAUSES_MS = [100, 400, 1500]
/** Refused before anything was done. */
const RETRYABLE = new Set([403, 429])

/** The two calls of the Kubernetes API that a change needs. */
export class KubernetesApi {
  readonly #cluster: Cluster
  readonly #credentials: CredentialSource
  readonly #timeoutMs: number
  readonly #agents = {
    'http:': new HttpAgent({ keepAlive: true, timeout: 60_000 }),
    'https:': new HttpsAgent({ keepAlive: true, timeout: 60_000 }),
  }

  constructor({ cluster, env, timeoutMs = 5000 }: KubernetesApiOptions) {
    this.#cluster = cluster
    this.#credentials = new CredentialSource(cluster, env)
    this.#timeoutMs = timeoutMs
  }

  /**
   * @throws {SwitchbackError} `SB_KUBERNETES_AWAY`, `SB_KUBERNETES_DENIED`, `SB_TARGET_MISSING`,
   * `SB_KUBERNETES_REFUSED`
   */
  async get(of: ObjectPath, signal?: AbortSignal): Promise<KubernetesObject> {
    return this.#ask(of, 'GET', undefined, signal)
  }

  /**
   * Replaces an object that was read, unless it was changed since: its `resourceVersion` goes along.
   * After `SB_KUBERNETES_AWAY` it may have been replaced all the same.
   *
   * @throws {ConflictError} and as {@link get}
   */
  async put(
    of: ObjectPath,
    object: KubernetesObject,
    signal?: AbortSignal,
  ): Promise<KubernetesObject> {
    return this.#ask(of, 'PUT', JSON.stringify(object), signal)
  }

  async #ask(
    of: ObjectPath,
    method: 'GET' | 'PUT',
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<KubernetesObject> {
    for (let attempt = 0, again = true; ; attempt++) {
      const answer = await this.#send(of, method, body, signal)
      const { status, retryable } = answer
      if (status === 200 || status === 201) return answer.value as KubernetesObject
      if (status === 401 && again) {
        this.#credentials.forget()
        again = false
        continue
      }
      const pause = PAUSES_MS[attempt]
      // What was sent with PUT may have arrived: only the caller can tell by looking again.
      const sure = method === 'GET' || RETRYABLE.has(status)
      if (!retryable || !sure || pause === undefined) throw this.#error(of, answer)
      await sleep(pause * (0.75 + Math.random() / 2), undefined, signal && { signal })
    }
  }

  async #send(
    { path }: ObjectPath,
    method: string,
    body: string | undefined,
    signal: AbortSignal | undefined,
  ): Promise<Answer> {
    const credentials = await this.#credentials.get()
    signal?.throwIfAborted()
    const end = AbortSignal.timeout(this.#timeoutMs)
    try {
      const response = await this.#open(path, method, body, credentials, signal, end)
      const text = await readAll(response)
      const status = response.statusCode ?? 0
      const value = parse(text)
      return {
        status,
        value,
        why: whyOf(value, text),
        retryable: RETRYABLE.has(status) || status >= 500,
      }
    } catch (error) {
      if (signal?.aborted === true) throw signal.reason
      const late = end.aborted ? `does not answer within ${this.#timeoutMs} ms` : messageOf(error)
      return { status: 0, value: undefined, why: late, retryable: !end.aborted && !isTls(error) }
    }
  }

  #open(
    path: string,
    method: string,
    body: string | undefined,
    { token, cert, key }: Credentials,
    signal: AbortSignal | undefined,
    end: AbortSignal,
  ): Promise<IncomingMessage> {
    const { server, ca, serverName, insecure = false } = this.#cluster
    const url = new URL(server.replace(/\/+$/, '') + path)
    const secure = url.protocol === 'https:'
    const options = {
      method,
      agent: this.#agents[secure ? 'https:' : 'http:'],
      signal: signal === undefined ? end : AbortSignal.any([signal, end]),
      headers: {
        accept: 'application/json',
        'user-agent': 'switchback',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(body === undefined
          ? {}
          : { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) }),
      },
      ...(secure ? { ca, cert, key, servername: serverName, rejectUnauthorized: !insecure } : {}),
    }
    return new Promise((resolve, reject) => {
      const send = secure ? httpsRequest : httpRequest
      send(url, options, resolve).on('error', reject).end(body)
    })
  }

  #error(of: ObjectPath, { status, value, why }: Answer): Error {
    const { name: who, server } = this.#cluster
    if (status === 409) return new ConflictError(why)
    if (status === 401) {
      return kubernetesError(
        'SB_KUBERNETES_DENIED',
        `the Kubernetes API at ${server} does not accept the credentials of ${who} (401)`,
        'log in again, or name another context with --context',
      )
    }
    if (status === 403) {
      return kubernetesError(
        'SB_KUBERNETES_DENIED',
        `${who} may not do this to ${of.name} (403): ${why}`,
        `grant it ${of.rights}; deploy/kubernetes-api has a Role with just that. It was asked for 2 s, since a server that has just started answers so too, until it has read its Roles`,
      )
    }
    if (status === 404) {
      // The server's own page, not a Status, is about the path: the kind is unknown.
      const noKind = (value as { readonly kind?: unknown } | undefined)?.kind !== 'Status'
      return noKind
        ? kubernetesError('SB_TARGET_MISSING', `${server} has no such kind of object`, of.noKind)
        : kubernetesError(
            'SB_TARGET_MISSING',
            `${of.name} does not exist`,
            'check the name, and name its namespace with --namespace and its cluster with --context',
          )
    }
    if (status === 0 || status === 429 || status >= 500) {
      const told = status === 0 ? why : `answers ${status}: ${why}`
      return kubernetesError(
        'SB_KUBERNETES_AWAY',
        `the Kubernetes API at ${server} is not there: ${told}`,
        'check the network and --context; flagd and the processes keep the flags that they have',
      )
    }
    return kubernetesError(
      'SB_KUBERNETES_REFUSED',
      `the Kubernetes API refuses the change of ${of.name} (${status}): ${why}`,
      'nothing was written; correct what the message names',
    )
  }
}

interface Answer {
  /** 0: none. */
  readonly status: number
  readonly value: unknown
  readonly why: string
  readonly retryable: boolean
}

async function readAll(response: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let size = 0
  for await (const chunk of response) {
    size += (chunk as Buffer).length
    if (size > MOST_BYTES) throw new Error('the answer is too large')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString()
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // A proxy's page, or the server's own for a path that it does not know.
    return undefined
  }
}

/** The message of a `Status`, or the first line of anything else. */
function whyOf(value: unknown, text: string): string {
  const { message } = (value ?? {}) as { readonly message?: unknown }
  const line = typeof message === 'string' ? message : (text.trim().split('\n', 1)[0] ?? '')
  return line.replaceAll(/\s+/g, ' ').slice(0, 300)
}

function isTls(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  return /CERT|TLS|SSL|UNABLE_TO/.test(code)
}

function kubernetesError(
  code:
    | 'SB_KUBERNETES_AWAY'
    | 'SB_KUBERNETES_DENIED'
    | 'SB_KUBERNETES_REFUSED'
    | 'SB_TARGET_MISSING',
  message: string,
  hint: string,
): SwitchbackError {
  return new SwitchbackError(code, message, { hint })
}
