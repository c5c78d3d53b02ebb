// Jest as it comes: no configuration, no Babel preset, CommonJS.
const node = {
  assert: require('node:assert/strict'),
  fs: require('node:fs'),
  os: require('node:os'),
  path: require('node:path'),
}
const { smoke } = require('./smoke.cjs')

test('the library works in Jest', async () => {
  await smoke(require('openfeature-switchback'), node, { peers: true, files: true })
}, 60_000)

test('its other exports too', () => {
  const { backendConformance } = require('openfeature-switchback/testing')
  const { readFlags } = require('openfeature-switchback/rollout')
  expect(backendConformance(() => {}).length).toBeGreaterThan(10)
  expect(readFlags('{"flags":{}}').text).toBe('{"flags":{}}')
})
