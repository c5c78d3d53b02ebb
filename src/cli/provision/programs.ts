import type { Program } from './obtain-program.ts'

/** A `redis-server`, or Valkey's, which speaks the same. */
export const redisServer: Program = {
  title: 'redis-server',
  names: ['redis-server', 'valkey-server'],
  override: 'REDIS_SERVER_BIN',
  aptPackage: 'redis-server',
}

/** Checks rules and configurations of Prometheus, in tests. */
export const promtool: Program = {
  title: 'promtool',
  names: ['promtool'],
  override: 'PROMTOOL_BIN',
  aptPackage: 'prometheus',
}

/** A Chromium for browser tests. */
export const chromium: Program = {
  title: 'Chromium',
  names: ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'],
  override: 'CHROMIUM_PATH',
  aptPackage: 'chromium',
}
