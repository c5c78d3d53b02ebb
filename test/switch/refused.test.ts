import { describe, expect, it, onTestFinished, vi } from 'vitest'
import * as library from '../../src/index.ts'
import { isSwitchbackError } from '../../src/index.ts'
import { FixedDecider } from '../support/fixed-decider.ts'

// As plain JavaScript calls it: no type stands in the way.
// oxlint-disable-next-line typescript/no-explicit-any
const api = library as any
const sides = () => ({ off: api.memoryCache(), on: api.memoryCache() })
const switchWith = (options: object): unknown =>
  api.createCacheSwitch({ flag: 'f', ...sides(), ...options })

/** The code, the message and the hint of what it throws or rejects with. */
async function refusal(call: () => unknown): Promise<string> {
  try {
    await call()
  } catch (error) {
    if (!isSwitchbackError(error)) throw error
    return `${error.code}: ${error.message} | ${error.hint}`
  }
  return 'taken'
}

const OPTIONS = 'SB_OPTION_INVALID: '

it('an option that is gone is told of once, and refuses nothing', async () => {
  const warned = vi.spyOn(console, 'warn').mockImplementation(() => {})
  for (let time = 0; time < 2; time++) {
    const cache = switchWith({ fleet: true }) as AsyncDisposable
    api.redisCache({ url: 'redis://127.0.0.1:1', onWarning: () => {} })
    await cache[Symbol.asyncDispose]()
  }
  const lines = warned.mock.calls.flat().filter((line) => String(line).includes('does nothing'))
  warned.mockRestore()
  expect(lines).toEqual([
    'switchback: createCacheSwitch: fleet does nothing any more: machines that share a Redis find each other there',
    'switchback: redisCache: onWarning does nothing any more: warnings are events of the cache, see onEvent of createCacheSwitch',
  ])
})

describe('what cannot work is refused, with the value and what to do', () => {
  it.each<[string, () => unknown, string]>([
    [
      'redisCache()',
      () => api.redisCache(),
      `${OPTIONS}redisCache needs an object of options; got undefined | its options are client, url, name, prefix, values, codec, tombstoneTtl`,
    ],
    [
      'redisCache({})',
      () => api.redisCache({}),
      'SB_REDIS_OPTIONS: redisCache needs either `client` or `url`; got none. | Pass redisCache({ url: "redis://127.0.0.1:6379" }), or { client } with a client of yours.',
    ],
    [
      'redisCache({ prefx })',
      () => api.redisCache({ url: 'redis://127.0.0.1:1', prefx: 'a:' }),
      `${OPTIONS}redisCache has no option "prefx" | did you mean prefix?`,
    ],
    [
      'redisCache(url)',
      () => api.redisCache('redis://127.0.0.1:6379'),
      `${OPTIONS}redisCache needs an object of options; got "redis://127.0.0.1:6379" | its options are client, url, name, prefix, values, codec, tombstoneTtl`,
    ],
    [
      'fileCache()',
      () => api.fileCache(),
      `${OPTIONS}fileCache needs an object of options; got undefined | its options are directory, name, maxEntries, maxBytes, tombstoneTtl, sweepInterval, busyTimeout`,
    ],
    [
      'fileCache({})',
      () => api.fileCache({}),
      'SB_FILE_OPTION_INVALID: fileCache: the option directory cannot be undefined. | Name a directory of the local disk, e.g. ".cache".',
    ],
    [
      'fileCache({ dir })',
      () => api.fileCache({ directory: 'x', maxBites: 1 }),
      `${OPTIONS}fileCache has no option "maxBites" | did you mean maxBytes?`,
    ],
    [
      'memoryCache({ max })',
      () => api.memoryCache({ size: 1 }),
      `${OPTIONS}memoryCache has no option "size" | its options are name, maxEntries, tombstoneTtl`,
    ],
    [
      'adaptCache(store, true)',
      () => api.adaptCache(new Map(), true),
      `${OPTIONS}adaptCache needs an object of options; got true | its options are name, tombstoneTtl, shared, values, codec, maxEntries`,
    ],
    [
      'createCacheSwitch()',
      () => api.createCacheSwitch(),
      `${OPTIONS}createCacheSwitch needs an object of options; got undefined | its options are flag, flags, decider, off, on, name, standby, retire, defaultTtl, ttlJitter, codec, maxValueBytes, deadlineMs, breaker, originConcurrency, originQueue, loadMs, maxOwed, compareShare, maxBackground, telemetry, onEvent`,
    ],
    [
      'no side',
      () => api.createCacheSwitch({ flag: 'f', off: api.memoryCache() }),
      `${OPTIONS}createCacheSwitch: on cannot be undefined | give the new side, e.g. fileCache({ directory }) or redisCache({ url })`,
    ],
    [
      'half a backend',
      () => switchWith({ off: { read() {}, write() {}, invalidate() {} } }),
      `${OPTIONS}createCacheSwitch: off cannot be {} | it lacks clear, now, ping, close; give the old side, e.g. fileCache({ directory }) or redisCache({ url })`,
    ],
    [
      'a misspelt option',
      () => switchWith({ deadlinesMs: 5 }),
      `${OPTIONS}createCacheSwitch has no option "deadlinesMs" | did you mean deadlineMs?`,
    ],
    [
      'a misspelt breaker',
      () => switchWith({ breaker: { failure: 2 } }),
      `${OPTIONS}createCacheSwitch: breaker has no option "failure" | did you mean failures?`,
    ],
    [
      'a breaker that cannot open',
      () => switchWith({ breaker: { window: 4 } }),
      `${OPTIONS}createCacheSwitch: breaker: failures cannot be 5 | give a whole number from 1 to window, which is 4`,
    ],
    [
      'probes without an end',
      () => switchWith({ breaker: { probeIntervalMs: Number.POSITIVE_INFINITY } }),
      `${OPTIONS}createCacheSwitch: breaker: probeIntervalMs cannot be Infinity | give milliseconds from 1 on, at most 2147483647`,
    ],
    [
      'a deadline of text',
      () => switchWith({ deadlineMs: '100' }),
      `${OPTIONS}createCacheSwitch: deadlineMs cannot be "100" | give milliseconds above 0, or { off, on }; it is 100 without`,
    ],
    [
      'a standby of two',
      () => switchWith({ standby: 'miror' }),
      `${OPTIONS}createCacheSwitch: standby cannot be "miror" | give invalidate, mirror, compare, or { flag } with the key of a string flag`,
    ],
    [
      'a default ttl in words',
      () => switchWith({ defaultTtl: '10 minutes' }),
      'SB_TTL_INVALID: "10 minutes" is not a time to live. | Give milliseconds or a string such as "500ms", "30s", "10m", "2h" or "7d"; leave it out for a value that does not expire.',
    ],
    [
      'a limit of nothing',
      () => switchWith({ maxOwed: Number.NaN }),
      `${OPTIONS}createCacheSwitch: maxOwed cannot be NaN | give a number of at least 0; it is 10,000 without`,
    ],
    [
      'createDecider()',
      () => api.createDecider(),
      `${OPTIONS}createDecider needs an object of options; got undefined | its options are flag, feature, client, domain, deadlineMs, rememberMs, maxRemembered, liveSplit, onEvent`,
    ],
    [
      'flagsFromEnvironment()',
      () => api.flagsFromEnvironment(),
      `${OPTIONS}flagsFromEnvironment: the environment cannot be undefined | pass the environment of the process`,
    ],
    [
      'createTelemetry({ metre })',
      () => api.createTelemetry({ metre: false }),
      `${OPTIONS}createTelemetry has no option "metre" | did you mean meter?`,
    ],
  ])('%s', async (_call, call, told) => {
    expect(await refusal(call)).toBe(told)
  })

  it.each<[string, (cache: any) => unknown, string]>([
    [
      "getOrSet('k')",
      (cache) => cache.getOrSet('k'),
      `${OPTIONS}getOrSet: the loader cannot be undefined | pass a function: getOrSet(key, () => load(), { ttl: "10m" })`,
    ],
    [
      'getOrSet with a promise',
      (cache) => cache.getOrSet('k', Promise.resolve(1)),
      `${OPTIONS}getOrSet: the loader cannot be {} | pass a function: getOrSet(key, () => load(), { ttl: "10m" })`,
    ],
    [
      "ttl: '10 minutes'",
      (cache) => cache.getOrSet('k', () => 1, { ttl: '10 minutes' }),
      'SB_TTL_INVALID: "10 minutes" is not a time to live. | Give milliseconds or a string such as "500ms", "30s", "10m", "2h" or "7d"; leave it out for a value that does not expire.',
    ],
    [
      'a misspelt ttl',
      (cache) => cache.set('k', 1, { tll: '10m' }),
      `${OPTIONS}the operation has no option "tll" | did you mean ttl?`,
    ],
    [
      'one key of many',
      (cache) => cache.deleteMany('key'),
      `${OPTIONS}deleteMany: the keys cannot be "key" | pass a list of keys`,
    ],
    [
      'one key of many to read',
      (cache) => cache.getMany('key'),
      `${OPTIONS}getMany: the keys cannot be "key" | pass a list of keys`,
    ],
    [
      'an object of many',
      (cache) => cache.setMany({ k: 1 }),
      `${OPTIONS}setMany: the entries cannot be {"k":1} | pass a list of [key, value], a Map or Object.entries()`,
    ],
    [
      'a namespace without a name',
      (cache) => cache.namespace(''),
      `${OPTIONS}namespace: the name cannot be "" | give it a name: namespace("profiles")`,
    ],
    [
      'a jitter in percent',
      (cache) => cache.set('k', 1, { ttl: '1m', jitter: 10 }),
      `${OPTIONS}the operation: jitter cannot be 10 | give a share from 0 to 1: 0.1 shortens each lifetime by up to a tenth`,
    ],
    [
      'a user without an object',
      (cache) => cache.for('user_1'),
      `${OPTIONS}cache.for: the user cannot be "user_1" | pass an evaluation context: cache.for({ targetingKey: userId })`,
    ],
    [
      'a misspelt hook',
      (cache) => cache.for({}, { onOperations() {} }),
      `${OPTIONS}cache.for has no option "onOperations" | did you mean onOperation?`,
    ],
  ])('%s', async (_call, call, told) => {
    const cache = api.createCacheSwitch({ decider: new FixedDecider({}), ...sides() })
    onTestFinished(() => cache.close())
    expect(await refusal(() => call(cache))).toBe(told)
    expect(await cache.get('k')).toBeUndefined()
  })
})
