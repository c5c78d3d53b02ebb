const { smoke } = require('./smoke.cjs')
const node = {
  assert: require('node:assert/strict'),
  fs: require('node:fs'),
  os: require('node:os'),
  path: require('node:path'),
}
const files = process.argv.includes('--files')
smoke(require('openfeature-switchback'), node, { peers: false, files }).then(() =>
  console.log('require ok'),
)
