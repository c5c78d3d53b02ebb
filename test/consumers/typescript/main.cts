import switchback = require('openfeature-switchback')
import { readFlags } from 'openfeature-switchback/rollout'

const cache: switchback.CacheSwitch = switchback.createCacheSwitch({
  flag: 'use-redis',
  off: switchback.memoryCache(),
  on: switchback.memoryCache(),
})
void cache.close()
console.log(readFlags('{"flags":{}}'))
