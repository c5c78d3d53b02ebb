// Flags: asks OpenFeature which side serves a user. Sets up the provider from the environment,
// finds the evaluation context, and remembers decisions, so that a known user costs no evaluation
// and keeps the side when the flag service is gone. Only reads flags; `rollout` edits them.
export type { ClientChoice } from './client.ts'
export { deciderOf } from './choice.ts'
export type { FlagChoice } from './choice.ts'
export type { ConfigurationState, FlagConfiguration, Refusal } from './configuration.ts'
export { createDecider } from './decider.ts'
export type { DeciderOptions } from './decider-options.ts'
export type {
  Decider,
  Decision,
  DecisionContext,
  DecisionSource,
  FlagDecider,
  FlagHealth,
} from './decision.ts'
export type { FlagsEvent, OnFlagsEvent } from './events.ts'
export { FileProvider } from './file-provider.ts'
export type { FileProviderOptions } from './file-provider.ts'
export { registerFlagGauges } from './gauges.ts'
export { readFlagdEnvironment } from './flagd-environment.ts'
export type { Environment } from './environment.ts'
export type { FlagdSettings } from './flagd-environment.ts'
export { flagsFromEnvironment } from './flags-source.ts'
export type { FlagsSource, FlagsSourceOptions } from './flags-source.ts'
export type { LiveSplit, LiveSplitOptions } from './live-split.ts'
export type { FlagsMode } from './provider-facts.ts'
export { createStringFlag } from './string-flag.ts'
export type { StringFlag, StringFlagOptions } from './string-flag.ts'
export { runAs, setUpTransactionContext } from './transaction-context.ts'
