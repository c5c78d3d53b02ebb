import type { FlagsSource } from '../../src/flags/index.ts'

/** The flag that every vendor serves. */
export const FLAG = 'use-redis'
/** A user who is on whatever the share is, where the vendor can tell users apart. */
export const PILOT = 'pilot'

/** What the flag is to be. `text`: a string instead of a boolean. `missing`: there is no such flag. */
export type FlagState = { readonly share: number } | 'text' | 'missing'

/** How a vendor answers. Each is observed by the contract suite; docs/vendors.md is made of them. */
export interface Facts {
  /** Whether the provider announces a change (`PROVIDER_CONFIGURATION_CHANGED`). */
  readonly announces: boolean
  /** `split`: by user and share. `everybody`: one answer for all. */
  readonly targeting: 'split' | 'everybody'
  /** Reason and variant of a user who is on at a share of 50; `–` for no variant. */
  readonly on: string
  /** The same at a share of 50 for nobody: no targeting key. */
  readonly nobody: string
  /** What a flag that does not exist is answered with. */
  readonly missing: string
  /** What a string flag read as a boolean is answered with. */
  readonly text: string
}

export interface RunningVendor {
  readonly source: FlagsSource
  /** Resolves when the vendor has taken it; clients may see it later. */
  put(state: FlagState): unknown
  /** The vendor's service dies; absent when there is none that could. */
  die?(): Promise<unknown>
  close(): Promise<unknown>
}

export interface Vendor {
  readonly name: string
  readonly facts: Facts
  /** Sets the vendor up under this OpenFeature domain, with nobody on but the pilot. */
  start(domain: string): Promise<RunningVendor>
}

/** The flag as flagd writes it. */
export function flagdDocument(state: FlagState): object {
  if (state === 'missing') return { flags: {} }
  const text = state === 'text'
  const { share } = text ? { share: 0 } : state
  return {
    flags: {
      [FLAG]: {
        state: 'ENABLED',
        variants: text ? { on: 'yes', off: 'no' } : { on: true, off: false },
        defaultVariant: 'off',
        targeting: {
          if: [
            { '==': [{ var: 'targetingKey' }, PILOT] },
            'on',
            {
              fractional: [
                ['on', share],
                ['off', 100 - share],
              ],
            },
          ],
        },
      },
    },
  }
}
