// Everything real but the users: two vendors over HTTP, the switch, the flags file, flagd's protocols,
// metrics over HTTP, and the guard that judges one method of the switch.
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer, type RequestListener, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { OpenFeature } from '@openfeature/server-sdk'
import { afterEach, expect, test } from 'vitest'
import { createSwitch } from '../../src/calls/index.ts'
import { createDecider, FileProvider } from '../../src/flags/index.ts'
import { type AuditEntry, createGuard, parsePlan } from '../../src/guard/index.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import { createTelemetry } from '../../src/telemetry/index.ts'
import { until } from '../support/until.ts'
import { useRedis } from '../support/flags-files.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function serve(listener: RequestListener): Promise<string> {
  const server: Server = createServer(listener)
  await once(server.listen(0, '127.0.0.1'), 'listening')
  closing.push(() => {
    server.closeAllConnections()
    server.close()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

test('a vendor of whom 2 % fails is taken back by the guard, which judges that method alone', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'switchback-calls-'))
  closing.push(() => rm(directory, { recursive: true, force: true }))
  const file = join(directory, 'use-redis.json')
  await writeFile(file, JSON.stringify(useRedis(50), null, 2))
  const sidecar = await startSidecar({
    file,
    ports: { evaluation: 0, management: 0, sync: 0, ofrep: 0 },
  })
  closing.push(() => sidecar.close())
  const domain = `calls-guard-${process.pid}`
  await OpenFeature.setProviderAndWait(domain, new FileProvider({ path: file }))
  closing.push(() => OpenFeature.clearProviders())

  let asked = 0
  const urls = [
    await serve((_, response) => void response.end('old')),
    await serve((_, response) => {
      response.statusCode = ++asked % 50 === 0 ? 500 : 200
      response.end('new')
    }),
  ]
  const [off, on] = urls.map((url) => ({
    async send(): Promise<string> {
      const response = await fetch(url)
      if (!response.ok) throw new Error(`status ${response.status}`)
      return response.text()
    },
    // Worse than the other method, on both sides alike.
    check: () => Promise.reject(new Error('never works')),
  })) as [Vendor, Vendor]
  const telemetry = createTelemetry({ meter: false })
  const mail = createSwitch<Vendor>({
    off,
    on,
    decider: createDecider({ flag: 'use-redis', domain, feature: 'mail' }),
    name: 'mail',
    telemetry,
    // What fails here is what the vendor fails, on a busy machine as well.
    deadlineMs: 60_000,
    onEvent: () => {},
  })
  closing.push(() => mail.close())
  let user = 0
  const ended = new AbortController()
  const traffic = async (): Promise<void> => {
    while (!ended.signal.aborted) {
      const one = mail.for({ targetingKey: `user-${user++ % 500}` })
      await one.send().catch(() => {})
      if (user % 100 === 0) await one.check().catch(() => {})
      // The guard and both vendors are in this process too, and want their turn on a busy machine.
      await setTimeout(5)
    }
  }
  const streams = Array.from({ length: 4 }, traffic)
  closing.push(async () => {
    ended.abort()
    await Promise.all(streams)
  })
  const metrics = await serve((_, response) => void response.end(telemetry.prometheus()))
  const audit: AuditEntry[] = []
  const guard = createGuard({
    plan: parsePlan(
      `{ switch: mail, method: send, steps: [50, 100], hold: 1s, settle: 0s, baseline: 500, baselineTime: 0s,
         interval: 100ms, metrics: { failed: { patience: 1s } }, replicas: ["${metrics}/metrics"] }`,
    ),
    flag: 'use-redis',
    file,
    flagd: `http://127.0.0.1:${sidecar.ports.ofrep}`,
    name: 'guard@test',
    onAudit: (entry) => audit.push(entry),
  })
  const stop = new AbortController()
  const running = guard.run(stop.signal)
  closing.push(async () => {
    stop.abort()
    await running
  })
  await until('the rollback', () => audit.some(({ action }) => action === 'rollback'))
  expect(audit.find(({ action }) => action === 'rollback')?.reason).toMatch(
    // Of `check`, which always fails on both sides, nothing is in it.
    /^worse than tolerated: failed .* on the new side, 0 % on the old side/,
  )
  const share = async (): Promise<string> =>
    (
      await Promise.all(
        Array.from({ length: 50 }, (_, i) =>
          mail
            .for({ targetingKey: `user-${i}` })
            .send()
            // Only the new one fails.
            .catch(() => 'new'),
        ),
      )
    ).join('')
  await until('everybody back', async () => !(await share()).includes('new'))
})

interface Vendor {
  send(): Promise<string>
  check(): Promise<never>
}
