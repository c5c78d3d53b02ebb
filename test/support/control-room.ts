import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type AuditLine, type ControlOptions, startControl } from '../../src/control/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'

/** A flags file whose split is `share`, in a directory of its own. */
export async function flagsFile(share: number): Promise<{ file: string; remove(): Promise<void> }> {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-control-'))
  const file = join(directory, 'use-redis.json')
  const targeting = `{ "fractional": [["on", ${share}], ["off", ${100 - share}]] }`
  await writeFile(
    file,
    `{
  "flags": {
    "use-redis": {
      "state": "ENABLED",
      "variants": { "on": true, "off": false },
      "defaultVariant": "off",
      "targeting": ${targeting}
    }
  }
}
`,
  )
  return { file, remove: () => rm(directory, { recursive: true, force: true }) }
}

export async function shareIn(file: string): Promise<number> {
  const match = /\["on", (\d+)\]/.exec(await readFile(file, 'utf8'))
  return Number(match?.[1])
}

/** A control page in this process, over a flags file and a sidecar of its own. */
export interface TestRoom extends AsyncDisposable {
  readonly url: string
  readonly file: string
  readonly audit: AuditLine[]
  stopFlagd(): Promise<void>
  get<T>(path: string): Promise<T>
  post(path: string, body?: unknown, headers?: Record<string, string>): Promise<Response>
}

export async function startRoom(
  options: Partial<ControlOptions> & { readonly share?: number } = {},
): Promise<TestRoom> {
  const { share = 10, ...rest } = options
  const flags = await flagsFile(share)
  const { file } = flags
  const ports = { evaluation: 0, management: 0, sync: 0, ofrep: 0 }
  const sidecar = await startSidecar({ file, ports })
  const audit: AuditLine[] = []
  const control = await startControl({
    file,
    flagd: `http://127.0.0.1:${sidecar.ports.ofrep}`,
    port: 0,
    page: 'dist/cli/page',
    operator: 'ann@test',
    onAudit: (line) => audit.push(line),
    ...rest,
  })
  const { url } = control
  return {
    url,
    file,
    audit,
    stopFlagd: () => sidecar.close(0),
    async get<T>(path: string) {
      const response = await fetch(`${url}${path}`)
      if (!response.ok) throw new Error(`${path} answers ${response.status}`)
      return (await response.json()) as T
    },
    post: (path, body = {}, headers = {}) =>
      fetch(`${url}${path}`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', ...headers },
        body: typeof body === 'string' ? body : JSON.stringify(body),
      }),
    async [Symbol.asyncDispose]() {
      await control.close()
      await sidecar.close(0)
      await flags.remove()
    },
  }
}

/** A request byte for byte: `fetch` mends paths and forbids headers. */
export function raw(
  url: string,
  options: {
    readonly path: string
    readonly method?: string
    readonly headers?: Record<string, string>
  },
): Promise<{ status: number; body: string; headers: Record<string, unknown> }> {
  const { hostname, port } = new URL(url)
  return new Promise((resolve, reject) => {
    const sent = request({ host: hostname, port, ...options }, (response) => {
      let body = ''
      response.setEncoding('utf8').on('data', (text: string) => (body += text))
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, body, headers: response.headers }),
      )
    })
    sent.on('error', reject)
    sent.end()
  })
}

export { until } from './until.ts'
