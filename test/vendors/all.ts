import { flagdInProcess, flagdRpc, flagsFile, ofrep } from './flagd-vendors.ts'
import { flagsmithVendor } from './flagsmith.ts'
import { growthBookVendor } from './growthbook.ts'
import { launchDarklyVendor } from './launchdarkly.ts'
import { environment, inMemory } from './local-vendors.ts'
import { multi } from './multi.ts'
import type { Vendor } from './vendor.ts'

export const VENDORS: readonly Vendor[] = [
  flagdRpc,
  flagdInProcess,
  flagsFile,
  ofrep,
  inMemory,
  environment,
  launchDarklyVendor,
  growthBookVendor,
  flagsmithVendor,
  multi,
]
