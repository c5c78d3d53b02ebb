/**
 * The reference service: users over HTTP, cached behind the flag, as a team's own service would
 * look. `users.ts` is business code that uses a cache and knows nothing of flags; the rest is HTTP.
 */
export { createApp } from './create-app.ts'
export type { AppOptions } from './create-app.ts'
export { createMetricsListener } from './http/metrics-listener.ts'
export type { MetricsListenerOptions } from './http/metrics-listener.ts'
export { readinessOf } from './http/readiness.ts'
export type { Readiness } from './http/readiness.ts'
export { startService } from './reference-service.ts'
export type { Service, ServiceOptions } from './reference-service.ts'
export { MemoryUserRepository } from './users/user-repository.ts'
export type { MemoryUserRepositoryOptions, UserRepository } from './users/user-repository.ts'
export { Users } from './users/cached-users.ts'
export type { UserCache } from './users/cached-users.ts'
