// Flags: asks OpenFeature which side serves a user. Sets up the provider from the environment,
// finds the evaluation context, and remembers decisions, so that a known user costs no evaluation
// and keeps the side when the flag service is gone. Only reads flags; `rollout` edits them.
export type { ClientChoice } from './openfeature-client.ts'
export { deciderOf } from './decide/choice.ts'
export type { FlagChoice } from './decide/choice.ts'
export type { ConfigurationState, FlagConfiguration, Refusal } from './source/configuration.ts'
export { createDecider } from './decide/decider.ts'
export type { DeciderOptions } from './decide/decider-options.ts'
export type {
  Decider,
  Decision,
  DecisionContext,
  DecisionSource,
  FlagDecider,
  FlagHealth,
} from './decide/decision.ts'
export type { FlagsEvent, OnFlagsEvent } from './flags-event.ts'
export { FileProvider } from './source/file-provider.ts'
export type { FileProviderOptions } from './source/file-provider.ts'
export { registerFlagGauges } from './flag-gauges.ts'
export { readFlagdEnvironment } from './flagd/flagd-environment.ts'
export type { Environment } from './environment.ts'
export type { FlagdSettings } from './flagd/flagd-environment.ts'
export { flagsFromEnvironment } from './source/flags-source.ts'
export type { FlagsSource, FlagsSourceOptions } from './source/flags-source.ts'
export type { LiveSplit, LiveSplitOptions } from './decide/live-split.ts'
export type { FlagsMode } from './source/provider-facts.ts'
export { createStringFlag } from './string-flag.ts'
export type { StringFlag, StringFlagOptions } from './string-flag.ts'
export { runAs, setUpTransactionContext } from './decide/transaction-context.ts'
