import { Ajv, type ValidateFunction } from 'ajv'
import { expect } from 'vitest'
import { spoilt } from '../support/strictness.ts'
import { kustomizationSchema, manifestSchema } from './kubernetes-schema.ts'

const ajv = new Ajv({ strict: false, allErrors: true, discriminator: false })
export const isManifest: ValidateFunction = ajv.compile(manifestSchema)
export const isKustomization: ValidateFunction = ajv.compile(kustomizationSchema)

/** It follows the API, and spoilt in any place it would not. */
export function expectStrict(one: object): void {
  isManifest(one)
  expect(isManifest.errors).toBeNull()
  // A port may be a name too.
  const passed = [...spoilt(one)].filter(
    ({ what, value }) => !/[pP]ort is a number$/.test(what) && isManifest(value),
  )
  expect(passed.map(({ what }) => what)).toEqual([])
}
