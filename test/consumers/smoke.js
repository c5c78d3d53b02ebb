/**
 * What every consumer does with the library, however it was loaded: flags from a YAML file, files on the
 * old side, and each optional peer that is installed loaded once.
 *
 * @param {typeof import('openfeature-switchback')} api
 * @param {{ assert: any, fs: any, os: any, path: any }} node its modules: this text is CommonJS and ES module
 * @param {{ peers: boolean, files: boolean }} installed
 */
// oxlint-disable-next-line no-unused-vars -- exported when it is copied
async function smoke(api, { assert, fs, os, path }, { peers, files }) {
  const directory = fs.mkdtempSync(path.join(os.tmpdir(), 'switchback-consumer-'))
  const flagsFile = path.join(directory, 'flags.yaml')
  fs.writeFileSync(flagsFile, FLAGS)
  try {
    const flags = await api.flagsFromEnvironment({
      FLAGD_RESOLVER: 'file',
      FLAGD_OFFLINE_FLAG_SOURCE_PATH: flagsFile,
    })
    const telemetry = api.createTelemetry()
    const cache = api.createCacheSwitch({
      flags,
      flag: 'use-redis',
      off: files ? api.fileCache({ directory: path.join(directory, 'cache') }) : api.memoryCache(),
      on: api.memoryCache(),
      telemetry,
      // A machine that is busy with installs is no outage.
      deadlineMs: 10_000,
    })
    const load = (user) => cache.for({ targetingKey: user }).getOrSet(user, () => ({ user }))
    assert.deepEqual(await load('new'), { user: 'new' })
    assert.deepEqual(await load('old'), { user: 'old' })
    assert.deepEqual(await load('old'), { user: 'old' })
    // The transaction context goes through one copy of the OpenFeature API.
    assert.deepEqual(await api.runAs('old', () => cache.get('old')), { user: 'old' })
    const text = telemetry.prometheus()
    assert.match(
      text,
      /switchback_operations_total\{side="off",operation="getOrSet",outcome="hit"\} 1/,
    )
    assert.match(
      text,
      /switchback_operations_total\{side="on",operation="getOrSet",outcome="miss"\} 1/,
    )
    await cache.close()
    await flags.close()
    telemetry.close()

    const redis = () => api.redisCache({ url: 'redis://127.0.0.1:1' })
    const flagd = () =>
      api.flagsFromEnvironment(
        { FLAGD_HOST: '127.0.0.1', FLAGD_PORT: '1' },
        { startMs: 50, onEvent: () => {} },
      )
    if (peers) {
      await redis().close()
      await (await flagd()).close()
    } else {
      assert.throws(redis, (error) => {
        assert.equal(error.code, 'SB_PEER_MISSING')
        assert.equal(`${error.message}: ${error.hint}`, 'redisCache needs "ioredis": npm i ioredis')
        return api.isSwitchbackError(error)
      })
      await assert.rejects(flagd, {
        code: 'SB_PEER_MISSING',
        hint: 'npm i @openfeature/flagd-provider',
      })
    }
  } finally {
    fs.rmSync(directory, { recursive: true, force: true })
  }
}

const FLAGS = `flags:
  use-redis:
    state: ENABLED
    variants: { on: true, off: false }
    defaultVariant: off
    targeting:
      if: [{ "==": [{ var: targetingKey }, new] }, "on", "off"]
`
