import { replyError } from './raw-node.ts'
import { WatchedNode } from './watched-node.ts'

/** A client of Valkey GLIDE for one server or one with replicas: what `GlideClient.createClient()` makes. */
export interface GlideClient {
  customCommand(args: string[], options?: never): Promise<unknown>
  getStatistics(): object
  close(errorMessage?: string): void
}

/** `Decoder.String` of GLIDE. */
const AS_STRINGS = { decoder: 1 } as never

/** What GLIDE calls the errors that the server has a code for. */
const CODES: Readonly<Record<string, string>> = {
  ResponseError: 'ERR',
  NoScriptError: 'NOSCRIPT',
  ReadOnly: 'READONLY',
  BusyLoadingError: 'LOADING',
  Moved: 'MOVED',
  Ask: 'ASK',
  CrossSlot: 'CROSSSLOT',
  ClusterDown: 'CLUSTERDOWN',
  TryAgain: 'TRYAGAIN',
  MasterDown: 'MASTERDOWN',
  PermissionDenied: 'NOPERM',
}

/** It reconnects without a word, and repeats what it may. */
export function glideNode(client: GlideClient): WatchedNode {
  return new WatchedNode(
    (args) => client.customCommand(args as string[], AS_STRINGS).catch(refuse),
    { username: glideConfigOf(client).credentials?.username },
    () => (client as unknown as { readonly isClosed?: boolean }).isClosed !== true,
  )
}

export interface GlideConfig {
  readonly requestTimeout?: number
  readonly credentials?: { readonly username?: string }
  readonly advancedConfiguration?: { readonly connectionTimeout?: number }
  readonly readOnly?: boolean
}

export function glideConfigOf(client: GlideClient): GlideConfig {
  return (client as unknown as { readonly config?: GlideConfig }).config ?? {}
}

function refuse(error: unknown): never {
  if (error instanceof Error && error.name === 'RequestError') {
    const message = serverMessage(error.message)
    if (message !== undefined) throw replyError(message, error)
  }
  throw error
}

/** As the server has written it; `undefined` where the client speaks itself. */
export function serverMessage(message: string): string | undefined {
  const match = /^(?:An error was signalled by the server: ?- )?(\w+): (.*)$/su.exec(message)
  if (match === null) return undefined
  const [, kind = '', text = ''] = match
  const code = CODES[kind] ?? (/^[A-Z][A-Z0-9]+$/u.test(kind) ? kind : undefined)
  return code === undefined ? undefined : `${code} ${text}`
}
