import { describe, expect, it } from 'vitest'
import { readFlagdEnvironment } from '../../src/flags/index.ts'

describe('what the environment says', () => {
  it.each([
    [{}, 'rpc', { host: 'localhost', port: 8013 }],
    [{ FLAGD_RESOLVER: 'in-process' }, 'in-process', { host: 'localhost', port: 8015 }],
    [
      { FLAGD_RESOLVER: 'RPC', FLAGD_HOST: 'flagd', FLAGD_PORT: '1' },
      'rpc',
      { host: 'flagd', port: 1 },
    ],
    [{ FLAGD_HOST: '', FLAGD_PORT: '' }, 'rpc', { host: 'localhost', port: 8013 }],
    [
      { FLAGD_RESOLVER: 'in-process', FLAGD_PORT: '1', FLAGD_SYNC_PORT: '2' },
      'in-process',
      { host: 'localhost', port: 2 },
    ],
    // The provider itself would evaluate on the sync port.
    [{ FLAGD_PORT: '1', FLAGD_SYNC_PORT: '2' }, 'rpc', { host: 'localhost', port: 1 }],
    [{ FLAGD_SOCKET_PATH: '/run/flagd.sock' }, 'rpc', { socketPath: '/run/flagd.sock' }],
  ])('%j', (env, mode, address) => {
    expect(readFlagdEnvironment(env)).toMatchObject({ mode, address, warnings: [] })
  })

  it.each([
    [{ FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'f.json' }],
    [{ FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'f.json', FLAGD_RESOLVER: 'in-process' }],
    [{ FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'f.json', FLAGD_RESOLVER: 'file' }],
  ])('%j is the file, where the provider would silently use rpc', (env) => {
    expect(readFlagdEnvironment(env)).toEqual({ mode: 'file', path: 'f.json', warnings: [] })
  })

  it('keeps a working stream open, and leaves nothing to process.env', () => {
    const settings = readFlagdEnvironment({})
    if (settings.mode === 'file') expect.fail()
    expect(settings.provider.streamDeadlineMs).toBe(0)
    // An option that is not there would be taken from process.env by the provider.
    expect(Object.keys(settings.provider)).toEqual(
      expect.arrayContaining(['socketPath', 'certPath', 'offlineFlagSourcePath', 'selector']),
    )
  })
})

it.each([
  [{ FLAGD_RESOLVER: 'file' }, 'needs a file'],
  [{ FLAGD_RESOLVER: 'rpc', FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'f.json' }, 'contradicts'],
  [{ FLAGD_RESOLVER: 'inprocess' }, '"inprocess" is not one of'],
  [{ FLAGD_PORT: '80 13' }, 'FLAGD_PORT="80 13"'],
  [{ FLAGD_PORT: '0' }, 'FLAGD_PORT="0"'],
  [{ FLAGD_TLS: 'yes' }, 'is not true or false'],
  [{ FLAGD_TLS: 'true', FLAGD_SERVER_CERT_PATH: '/no/such' }, '"/no/such" is not a readable file'],
])('refuses %j', (env, message) => {
  expect(() => readFlagdEnvironment(env)).toThrow(
    expect.objectContaining({
      code: 'SB_FLAGS_ENVIRONMENT',
      message: expect.stringContaining(message),
    }),
  )
})

it.each([
  [{ FLAGD_OFFLINE_FLAG_SOURCE_PATH: 'f', FLAGD_HOST: 'h' }, 'FLAGD_HOST ignored'],
  [{ FLAGD_SYNC_PORT: '8015' }, 'FLAGD_SYNC_PORT ignored'],
  [
    { FLAGD_SOCKET_PATH: '/s', FLAGD_HOST: 'h', FLAGD_PORT: '1' },
    'FLAGD_HOST and FLAGD_PORT ignored',
  ],
  [{ FLAGD_SERVER_CERT_PATH: '/c' }, 'FLAGD_SERVER_CERT_PATH ignored'],
])('warns about %j', (env, message) => {
  expect(readFlagdEnvironment(env).warnings).toEqual([expect.stringContaining(message)])
})
