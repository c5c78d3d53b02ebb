import { createRequire } from 'node:module'

const require = createRequire(import.meta.url)

/** Packages that are loaded when first needed; the values are loaded from where Switchback is installed. */
export type LazyPackage =
  | '@openfeature/flagd-provider'
  | '@opentelemetry/api'
  | 'ioredis'
  | 'libsql'
  | 'yaml'

/**
 * One call for each package, with its name written out: bundlers find it only so.
 * `scripts/bundle.mjs` takes the two lines about `require` away where the output has its own.
 */
export const LOAD: Readonly<Record<LazyPackage, () => unknown>> = {
  '@openfeature/flagd-provider': () => require('@openfeature/flagd-provider'),
  '@opentelemetry/api': () => require('@opentelemetry/api'),
  ioredis: () => require('ioredis'),
  libsql: () => require('libsql'),
  yaml: () => require('yaml'),
}
