import { onTestFinished } from 'vitest'
import type { SidecarPorts } from '../../src/sidecar/index.ts'
import { serverKinds } from './flagd-server.ts'

/** A flagd that serves a file: the real one when `FLAGD_BIN` names it, else the sidecar. */
export interface Flagd {
  /** Its OFREP address. */
  readonly url: string
  readonly ports: SidecarPorts
}

const kind = serverKinds().at(-1)

/** Starts it on free ports and ends it with the test. */
export async function startFlagd(file: string): Promise<Flagd> {
  if (kind === undefined) throw new Error('there is no flagd to start')
  const server = await kind.start(file)
  onTestFinished(() => server[Symbol.asyncDispose]())
  return { url: `http://127.0.0.1:${server.ports.ofrep}`, ports: server.ports }
}
