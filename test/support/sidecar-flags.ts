import { readFlagSet } from '../../src/flagfile/index.ts'
import type { JsonObject } from '../../src/flagfile/index.ts'
import { FlagStore } from '../../src/sidecar/flags/flag-store.ts'
import { resolve } from '../../src/sidecar/resolve.ts'
import type { Resolution } from '../../src/sidecar/resolve.ts'

/** Flags as the sidecar holds and answers them, without a socket. */
export interface SidecarFlags {
  readonly keys: readonly string[]
  /** What the sync stream sends. */
  readonly text: string
  ask(key: string, context: JsonObject): Resolution
}

/** @throws SwitchbackError `SB_FLAGS_INVALID` */
export function sidecarFlags(content: string | object): SidecarFlags {
  const store = new FlagStore()
  const text = typeof content === 'string' ? content : JSON.stringify(content)
  store.replace(0, [{ source: 'flags.json', flags: readFlagSet(text, 'flags.json') }])
  const view = store.view()
  return {
    keys: view.flags.map(({ key }) => key),
    text: view.text,
    ask: (key, context) => resolve(view, key, 'Any', context),
  }
}
