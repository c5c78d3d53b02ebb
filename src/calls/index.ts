/** Calls: any implementation of an interface behind the flag, without a promise about its data. */
export {
  type CallsHealth,
  type CallSideHealth,
  controlsOf,
  createSwitch,
  type SwitchControls,
  type Switched,
} from './create-switch.ts'
export type {
  CallInfo,
  CallOptions,
  CallResult,
  CallReturns,
  CallSettings,
  CallStage,
  CompareOptions,
  IsFailure,
  Method,
  MethodNames,
  PlainCall,
  PromiseMethodNames,
  ReadCall,
  SwitchBase,
  SwitchMethods,
  SwitchOptions,
  WriteCall,
} from './options.ts'
