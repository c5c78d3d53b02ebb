/**
 * Provisioning: finds or starts the programs that Switchback needs (a Redis; for tests a Chromium),
 * so that one command works on a fresh machine. Used by `npm start` and by the tests.
 */
export { findProgram } from './find-program.ts'
export { freePort } from './ports.ts'
export { locateProgram, obtainProgram } from './obtain-program.ts'
export type { Obtained, ObtainOptions, Program } from './obtain-program.ts'
export { chromium, promtool, redisServer } from './programs.ts'
export { answersPing } from './ping.ts'
export { provisionRedis } from './redis.ts'
export type { ProvisionedRedis, ProvisionRedisOptions, RedisOrigin } from './redis.ts'
export { supervise } from './supervise.ts'
export type { Supervised, SuperviseOptions } from './supervise.ts'
