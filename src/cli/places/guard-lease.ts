import { createHash, randomBytes } from 'node:crypto'
import { gunzipSync, gzipSync } from 'node:zlib'
import { isSwitchbackError, quote } from '../../errors.ts'
import type { GuardState, Lease, PublishedStatus, StateStore } from '../../guard/index.ts'
import {
  ConflictError,
  type KubernetesApi,
  type KubernetesObject,
  type ObjectPath,
} from '../kubernetes/kubernetes-api.ts'

/** What the guard that acts knows, on the Lease itself: the guard that takes over goes on with it. */
const STATE = 'openfeature-switchback/guard'
/** What it thinks, for pages on other machines; written with each renewal. */
const STATUS = 'openfeature-switchback/guard-status'
/** Kubernetes takes 256 KiB for all annotations. */
const MOST_STATE = 200 * 1024

interface LeaseObject extends KubernetesObject {
  readonly spec?: {
    readonly holderIdentity?: string
    readonly leaseDurationSeconds?: number
    readonly leaseTransitions?: number
    readonly acquireTime?: string
    readonly renewTime?: string
  }
}

/** The Lease of the guard of a flag: beside the object of the flags, e.g. `switchback-flags-use-redis`. */
export function guardLeasePath(of: {
  readonly namespace: string
  readonly name: string
  readonly flag: string
}): ObjectPath {
  const { namespace, name, flag } = of
  const lease = `${name}-${dnsName(flag, LONGEST_NAME - name.length - 1)}`
  return {
    path: `/apis/coordination.k8s.io/v1/namespaces/${namespace}/leases/${lease}`,
    name: `the Lease ${quote(lease)} in the namespace ${quote(namespace)}`,
    rights: `get and update on the lease.coordination.k8s.io ${quote(lease)}`,
    noKind: 'check the server of the kubeconfig: it does not answer as a Kubernetes API does',
  }
}

/** Of an object in Kubernetes. */
const LONGEST_NAME = 253

/** A flag that is a name of DNS as it is keeps it; of any other, a hash tells `a_b` from `a-b`. */
function dnsName(flag: string, most: number): string {
  if (flag.length <= most && /^[a-z0-9]+(-[a-z0-9]+)*$/.test(flag)) return flag
  const hash = createHash('sha256').update(flag).digest('hex').slice(0, 10)
  const readable = flag
    .toLowerCase()
    .replaceAll(/[^a-z0-9]+/g, '-')
    .replace(/^-/, '')
  return `${readable.slice(0, most - hash.length - 1)}-${hash}`
    .replaceAll(/-+/g, '-')
    .replace(/^-/, '')
}

export interface GuardLeaseOptions {
  readonly api: Pick<KubernetesApi, 'get' | 'put'>
  readonly path: ObjectPath
  /** Shown to the other guard. */
  readonly name: string
  /** A holder that does not renew for this long counts as dead, in seconds. @default 15 */
  readonly seconds?: number
  /** Milliseconds of a clock that only goes forward. @default performance.now */
  readonly now?: () => number
}

/**
 * Of the guards of a flag on several machines one acts. As client-go does it: the holder renews, and who
 * waits takes over when it saw no renewal for the duration of the lease by its own clock, so that the
 * machines' clocks need not agree. It only avoids duplicate work: safety is in the compare-and-swap of
 * every edit.
 */
export class GuardLease implements Lease {
  readonly #options: Required<GuardLeaseOptions>
  readonly #identity: string
  /** As it was read or written last; its version goes with the next write. */
  #object: LeaseObject | undefined
  /** The version that was seen last, and since when. */
  #seen = { version: '', at: -Infinity }
  #renewedAt = -Infinity
  #until: number | undefined
  #status: PublishedStatus | undefined

  constructor(options: GuardLeaseOptions) {
    this.#options = { seconds: 15, now: () => performance.now(), ...options }
    this.#identity = `${options.name}_${randomBytes(9).toString('base64url')}`
  }

  get until(): number | undefined {
    return this.#until
  }

  async hold(): Promise<string> {
    const { seconds, now } = this.#options
    const mine = this.#object?.spec?.holderIdentity === this.#identity
    if (mine && now() - this.#renewedAt < (seconds * 1000) / 3) return ''
    try {
      return mine ? await this.#renew() : await this.#take()
    } catch (error) {
      // Nobody can edit the flags while the API is away; the lease is looked at again when it is back.
      if (mine && isSwitchbackError(error) && error.code === 'SB_KUBERNETES_AWAY') return ''
      throw error
    }
  }

  async release(): Promise<void> {
    if (this.#object?.spec?.holderIdentity !== this.#identity) return
    // Without this the next one waits until the lease has run out, and finds out by itself.
    this.#status = undefined
    const nobody = { holderIdentity: '', leaseDurationSeconds: 1 }
    await this.#put(nobody, { [STATUS]: '' }).catch(() => {})
    this.#object = undefined
  }

  publish(status: PublishedStatus): void {
    this.#status = status
  }

  /** Kept on this machine too: for commands beside the guard, and while the API is away. */
  store(local: StateStore): StateStore {
    return {
      load: async () => {
        const here = await local.load()
        const there = stateOf(this.#object ?? (await this.#get()))
        return there !== undefined && there.savedAt >= (here?.savedAt ?? 0) ? there : here
      },
      save: async (state) => {
        await local.save(state)
        const text = packed(state)
        if (text.length > MOST_STATE) return
        if (this.#object?.spec?.holderIdentity !== this.#identity) return
        try {
          await this.#put({}, { [STATE]: text })
        } catch (error) {
          // Another guard has it now: the next look at the lease says so.
          if (!(error instanceof ConflictError)) throw error
          this.#renewedAt = -Infinity
        }
      },
      takeApproval: () => local.takeApproval(),
      takeOrder: async () => local.takeOrder?.(),
    }
  }

  async #get(): Promise<LeaseObject> {
    const { api, path } = this.#options
    return api.get(path)
  }

  async #renew(): Promise<string> {
    try {
      await this.#put({})
      return ''
    } catch (error) {
      if (error instanceof ConflictError) return this.#take()
      throw error
    }
  }

  /** Takes it when it is free, or was not renewed for as long as its holder said. */
  async #take(): Promise<string> {
    const { now } = this.#options
    const object = await this.#get()
    const { holderIdentity: holder = '', leaseDurationSeconds = 0 } = object.spec ?? {}
    const { resourceVersion: version } = object.metadata
    if (version !== this.#seen.version) this.#seen = { version, at: now() }
    const left = this.#seen.at + leaseDurationSeconds * 1000 - now()
    this.#until = Date.now() + left
    const mine = holder === this.#identity
    if (holder !== '' && !mine && left > 0) {
      this.#object = undefined
      return nameOf(holder)
    }
    this.#object = object
    try {
      await this.#put(mine ? {} : { holderIdentity: this.#identity, acquireTime: microTime() })
      return ''
    } catch (error) {
      this.#object = undefined
      if (error instanceof ConflictError) return 'another guard'
      throw error
    }
  }

  async #put(
    spec: NonNullable<LeaseObject['spec']>,
    annotations: Readonly<Record<string, string>> = {},
  ): Promise<void> {
    const { api, path, seconds, now } = this.#options
    const old = this.#object!
    const at = now()
    const { holderIdentity = '', leaseTransitions = 0 } = old.spec ?? {}
    const taken = (spec.holderIdentity ?? holderIdentity) !== holderIdentity
    const told = this.#status === undefined ? {} : { [STATUS]: packed(this.#status) }
    const metadata = {
      ...old.metadata,
      annotations: { ...old.metadata.annotations, ...told, ...annotations },
    }
    const next: LeaseObject = {
      ...old,
      metadata,
      spec: {
        ...old.spec,
        leaseDurationSeconds: seconds,
        renewTime: microTime(),
        leaseTransitions: leaseTransitions + (taken ? 1 : 0),
        ...spec,
      },
    }
    this.#object = (await api.put(path, next)) as LeaseObject
    this.#renewedAt = at
  }
}

function nameOf(identity: string): string {
  return identity.replace(/_[\w-]{12}$/, '')
}

function microTime(): string {
  return new Date().toISOString().replace('Z', '000Z')
}

function stateOf(object: LeaseObject): GuardState | undefined {
  const state = unpacked(object, STATE) as GuardState | undefined
  return state?.version === 2 && typeof state.savedAt === 'number' ? state : undefined
}

/** What the guard that holds the Lease has told last. */
export function statusOn(object: KubernetesObject): PublishedStatus | undefined {
  const status = unpacked(object, STATUS) as PublishedStatus | undefined
  return typeof status?.summary?.sentence === 'string' ? status : undefined
}

function packed(value: object): string {
  return gzipSync(JSON.stringify(value)).toString('base64')
}

function unpacked({ metadata }: KubernetesObject, annotation: string): unknown {
  const text = metadata.annotations?.[annotation] ?? ''
  if (text === '') return undefined
  try {
    const whole = gunzipSync(Buffer.from(text, 'base64'), { maxOutputLength: 4 * 1024 * 1024 })
    return JSON.parse(whole.toString()) as unknown
  } catch {
    // Anybody who may edit the Lease may have edited this.
    return undefined
  }
}
