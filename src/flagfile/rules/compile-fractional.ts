import { compile } from './compile.ts'
import {
  distributionOf,
  fractional,
  variantFor,
  variantAt,
  standardBucketing,
  standardHash,
} from './fractional.ts'
import { isList, isObject } from '../json.ts'
import type { JsonValue } from '../json.ts'
import type { Run } from '../operators/operators.ts'

/** A split whose weights do not depend on the user is read once, not for every user. */
export function splitOf(operand: JsonValue, depth: number): Run {
  if (!isList(operand)) {
    const values = compile(operand, depth)
    return (data) => fractional(values.run(data), data)
  }
  const parts = operand.map((each) => compile(each, depth + 1))
  const general: Run = (data) =>
    fractional(
      parts.map((part) => part.run(data)),
      data,
    )
  const [first, ...entries] = parts
  if (first === undefined || entries.some((entry) => entry.constant === undefined)) return general
  const rest = entries.map((entry) => entry.constant as JsonValue)
  if (first.constant !== undefined) {
    if (typeof first.constant === 'string') return general
    const distribution = distributionOf(first.constant === null ? rest : [first.constant, ...rest])
    if (distribution === undefined) return () => null
    return (data) => {
      const hash = standardHash(data)
      return hash === undefined ? null : variantAt(hash, distribution)
    }
  }
  const distribution = distributionOf(rest)
  return (data) => {
    const named = first.run(data)
    if (named !== null && typeof named !== 'string') return fractional([named, ...rest], data)
    const bucketBy = named ?? standardBucketing(data)
    if (bucketBy === undefined || distribution === undefined || !isObject(data)) return null
    return variantFor(bucketBy, distribution)
  }
}
