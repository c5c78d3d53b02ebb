import { OFREPProvider } from '@openfeature/ofrep-provider'
import type { Provider } from '@openfeature/server-sdk'
import { flagsFromEnvironment } from '../../src/flags/index.ts'
import { FREE } from '../support/flagd-server.ts'
import { FlagsFile } from '../support/flags-files.ts'
import { startSidecar, type Sidecar } from '../../src/sidecar/index.ts'
import {
  type Facts,
  type FlagState,
  flagdDocument,
  type RunningVendor,
  type Vendor,
} from './vendor.ts'

interface Parts {
  readonly file: FlagsFile
  readonly sidecar: Sidecar
  readonly domain: string
}

const facts: Facts = {
  announces: true,
  targeting: 'split',
  on: 'TARGETING_MATCH, on',
  nobody: 'DEFAULT, off',
  missing: 'FLAG_NOT_FOUND',
  text: 'TYPE_MISMATCH',
}

async function served(
  domain: string,
  connect: (parts: Parts) => Promise<RunningVendor['source']>,
): Promise<RunningVendor> {
  const file = new FlagsFile()
  const put = (state: FlagState): void => file.write(flagdDocument(state))
  put({ share: 0 })
  const sidecar = await startSidecar({ file: file.path, ports: FREE })
  const source = await connect({ file, sidecar, domain })
  return {
    source,
    put,
    die: () => sidecar.close(0),
    close: async () => {
      await source.close()
      await sidecar.close(0)
      file[Symbol.dispose]()
    },
  }
}

export const flagdRpc: Vendor = {
  name: 'flagd, rpc',
  facts,
  start: (domain) =>
    served(domain, ({ sidecar }) => {
      const env = { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: `${sidecar.ports.evaluation}` }
      return flagsFromEnvironment(env, { domain })
    }),
}

export const flagdInProcess: Vendor = {
  name: 'flagd, in-process',
  facts,
  start: (domain) =>
    served(domain, ({ sidecar }) => {
      const env = {
        FLAGD_RESOLVER: 'in-process',
        FLAGD_HOST: '127.0.0.1',
        FLAGD_PORT: `${sidecar.ports.sync}`,
      }
      return flagsFromEnvironment(env, { domain })
    }),
}

export const flagsFile: Vendor = {
  name: 'flags file',
  facts,
  async start(domain) {
    const file = new FlagsFile()
    const put = (state: FlagState): void => file.write(flagdDocument(state))
    put({ share: 0 })
    const source = await flagsFromEnvironment(
      { FLAGD_OFFLINE_FLAG_SOURCE_PATH: file.path },
      { domain },
    )
    return {
      source,
      put,
      close: async () => {
        await source.close()
        file[Symbol.dispose]()
      },
    }
  },
}

// set-up
export function ofrepProvider(baseUrl: string): Provider {
  // One HTTP request an evaluation, and no timeout but this one.
  const fetchImplementation: typeof fetch = (url, init) =>
    fetch(url, { ...init, signal: AbortSignal.timeout(500) })
  return new OFREPProvider({ baseUrl, fetchImplementation })
}
// end

export const ofrep: Vendor = {
  name: 'OFREP',
  facts: { ...facts, announces: false },
  start: (domain) =>
    served(domain, ({ sidecar }) => {
      const provider = ofrepProvider(`http://127.0.0.1:${sidecar.ports.ofrep}`)
      return flagsFromEnvironment({}, { provider, domain })
    }),
}
