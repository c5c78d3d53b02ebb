import { readdirSync, readFileSync } from 'node:fs'
import { sample } from 'fast-check'
import { flagsFile } from '../support/flags-arbitrary.ts'

/** Flags files that people wrote, those that flagd was tried with, and made ones of every shape. */
export const FLAGS_CORPUS: readonly Buffer[] = [
  'test/flagd/flags.json',
  ...readdirSync('flags', { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.json'))
    .map((name) => `flags/${name}`)
    .toSorted(),
]
  .map((file) => readFileSync(file))
  .concat(sample(flagsFile, { seed: 7, numRuns: 24 }).map(({ text }) => Buffer.from(text)))

/** Words of flags files and of their rules, and names that objects have of themselves. */
export const FLAGS_WORDS: readonly string[] = [
  '"flags"',
  '"$evaluators"',
  '"$ref"',
  '"$schema"',
  '"metadata"',
  '"use-redis"',
  '"variants"',
  '"state"',
  '"ENABLED"',
  '"DISABLED"',
  '"defaultVariant"',
  '"targeting"',
  '"on"',
  '"off"',
  '"fractional"',
  '"if"',
  '"var"',
  '"in"',
  '"sem_ver"',
  '"cat"',
  '"merge"',
  '"map"',
  '"reduce"',
  '"targetingKey"',
  '"$flagd.flagKey"',
  '"$flagd.timestamp"',
  '"starts_with"',
  '"missing_some"',
  '__proto__',
  'constructor',
  'prototype',
  'toString',
  'hasOwnProperty',
  'valueOf',
  'length',
  '{"$ref":"internal"}',
  '{"var":"__proto__"}',
  '{"var":""}',
  '{"fractional":[]}',
  '[]',
  '{}',
  '{"__proto__":{"polluted":true}}',
  '"__proto__":{"polluted":true},',
  '"constructor":{},',
  'null',
  'true',
  'false',
  '[[["',
  '{"a":{"a":{',
  '\\u0000',
  '\\ud800',
  '//',
  '/*',
  '\uFEFF',
  '["on",1e999]',
  '["on",-1]',
  '["on",0.5]',
  '["on",2147483648]',
  '["on"]',
  '["on",{"var":"w"}]',
]

/** Evaluation contexts as no caller should send them. */
export const HOSTILE_CONTEXTS: readonly Record<string, unknown>[] = [
  {},
  { targetingKey: '' },
  { targetingKey: 'user_0', plan: 'internal', email: 'a@example.com', version: '1.2.3' },
  { targetingKey: '\ud800\0\r\n', email: '\udfff', plan: ['internal'], version: 'v'.repeat(5000) },
  JSON.parse('{"targetingKey":"__proto__","__proto__":{"polluted":true},"constructor":{"a":1}}'),
  { targetingKey: 'x'.repeat(60_000), plan: {}, email: null, feature: Infinity, account: -0 },
  { targetingKey: 7, $flagd: { flagKey: 'use-redis', timestamp: 'x' }, '': '', 'a.b': 1 },
] as Record<string, unknown>[]
