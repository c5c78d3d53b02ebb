// @needs redis
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'
import { redisCache } from '../../../src/cache/index.ts'
import { makePairActor } from '../../support/pair.ts'
import { freePort, startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/until.ts'

const haveOpenssl = spawnSync('openssl', ['version']).status === 0

test.skipIf(!haveOpenssl)('two Redis over TLS vouch for each other, and serve', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'switchback-tls-'))
  const [key, cert] = [join(dir, 'key.pem'), join(dir, 'cert.pem')]
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1']
  const made = ['-nodes', '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost']
  execFileSync('openssl', [...request, ...made, '-addext', names], { stdio: 'ignore' })
  const port = await freePort()
  const files = ['--tls-cert-file', cert, '--tls-key-file', key, '--tls-ca-cert-file', cert]
  const args = ['--tls-port', String(port), '--tls-auth-clients', 'no', ...files]
  // A server that was built without TLS does not start.
  const redis = await startRedis({ args })
  const clients = [0, 1].map((db) => {
    const tls = { ca: readFileSync(cert) }
    const fast = { enableOfflineQueue: false, maxRetriesPerRequest: 0, socketTimeout: 1000 }
    return new Redis(port, 'localhost', { db, tls, connectTimeout: 1000, ...fast })
  })
  try {
    const [off, on] = clients.map((client) => redisCache({ client }))
    const { cache, onUser, ...actor } = makePairActor(off!, on!)
    await until('both vouch for each other', () => {
      return actor.off.board.licensed && actor.on.board.licensed
    })
    await onUser.set('k', 'v')
    expect(await onUser.get('k')).toBe('v')
    expect(cache.health()).toMatchObject({ off: { ok: true }, on: { ok: true } })
    await cache.close()
  } finally {
    for (const client of clients) client.disconnect()
    await redis.stop()
    rmSync(dir, { recursive: true, force: true })
  }
})
