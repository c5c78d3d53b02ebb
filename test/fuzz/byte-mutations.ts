/**
 * A small mutator of bytes, seeded: real inputs, damaged in the ways in which bytes are damaged on disks
 * and wires, and in those in which people who mean harm damage them.
 */
export interface MutationOptions {
  /** What pieces are borrowed from. */
  readonly corpus: readonly Buffer[]
  /** Words of the format: put in, and put in the place of others. */
  readonly dictionary?: readonly (string | Buffer)[]
}

/** Mulberry32: good enough to wander about, and the same on every machine. */
export class Random {
  #state: number

  constructor(seed: number) {
    // Neighbouring seeds must not begin alike.
    this.#state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) >>> 0
  }

  /** From 0 up to, not including, 1. */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0
    let t = this.#state
    t = Math.imul(t ^ (t >>> 15), t | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4_294_967_296
  }

  /** A whole number from 0 up to, not including, `bound`; 0 when there is none. */
  below(bound: number): number {
    return bound <= 1 ? 0 : Math.floor(this.next() * bound)
  }

  pick<T>(list: readonly T[]): T {
    return list[this.below(list.length)] as T
  }

  chance(share: number): boolean {
    return this.next() < share
  }
}

const INTERESTING_BYTES = [0x00, 0x01, 0x0a, 0x0d, 0x20, 0x22, 0x5c, 0x7b, 0x7f, 0x80, 0xc0, 0xff]
const INTERESTING_NUMBERS = [
  '0',
  '-1',
  '-0',
  '1e999',
  '-1e999',
  '1e-999',
  '0.1',
  '2147483647',
  '2147483648',
  '4294967296',
  '9007199254740993',
  '18446744073709551616',
  '1'.repeat(400),
]
/** A byte order mark, an overlong slash, a lone surrogate, a truncated character, U+2028, an end of text. */
const INTERESTING_TEXT = [
  'efbbbf',
  'c0af',
  'eda080',
  'f09f98',
  'e280a8',
  '03',
  '0d0a',
  '00',
  'ffff',
].map((hex) => Buffer.from(hex, 'hex'))

type Mutation = (input: Buffer, random: Random, options: MutationOptions) => Buffer

const flipBit: Mutation = (input, random) => {
  const copy = Buffer.from(input)
  const at = random.below(copy.length)
  if (copy.length > 0) copy[at] = (copy[at] as number) ^ (1 << random.below(8))
  return copy
}

const setByte: Mutation = (input, random) => {
  const copy = Buffer.from(input)
  const byte = random.chance(0.5) ? random.pick(INTERESTING_BYTES) : random.below(256)
  if (copy.length > 0) copy[random.below(copy.length)] = byte
  return copy
}

const truncate: Mutation = (input, random) => input.subarray(0, random.below(input.length + 1))

const remove: Mutation = (input, random) => {
  const [from, to] = span(input, random)
  return replaced(input, from, to, Buffer.alloc(0))
}

const duplicate: Mutation = (input, random) => {
  const [from, to] = span(input, random)
  const piece = input.subarray(from, to)
  // Seldom often: to find what grows faster than its input.
  const times = random.chance(0.1) ? 1 + random.below(200) : 1
  const copies = Buffer.concat(Array.from({ length: times }, () => piece))
  return replaced(input, to, to, copies.subarray(0, 65_536))
}

const swap: Mutation = (input, random) => {
  const [from, to] = span(input, random)
  const piece = Buffer.from(input.subarray(from, to))
  const rest = replaced(input, from, to, Buffer.alloc(0))
  const at = random.below(rest.length + 1)
  return replaced(rest, at, at, piece)
}

const splice: Mutation = (input, random, { corpus }) => {
  const other = random.pick(corpus)
  return Buffer.concat([
    input.subarray(0, random.below(input.length + 1)),
    other.subarray(random.below(other.length + 1)),
  ])
}

const insertWord: Mutation = (input, random, { dictionary = [] }) => {
  const word = random.pick([...dictionary, ...INTERESTING_TEXT, ...INTERESTING_NUMBERS])
  const [from, to] = random.chance(0.5) ? tokenIn(input, random) : [input.length, input.length]
  const at = random.below(input.length + 1)
  const bytes = typeof word === 'string' ? Buffer.from(word) : word
  return from === to ? replaced(input, at, at, bytes) : replaced(input, from, to, bytes)
}

/** A number that stands in the text says something else: lengths that lie, weights, versions. */
const lieInText: Mutation = (input, random) => {
  const numbers = [...input.toString('latin1').matchAll(/\d+/g)]
  if (numbers.length === 0) return flipBit(input, random, { corpus: [input] })
  const { 0: digits, index } = random.pick(numbers)
  const near = String(Number(digits) + random.pick([-1, 1, -100, 100]))
  const lie = random.chance(0.5) ? near : random.pick(INTERESTING_NUMBERS)
  return replaced(input, index, index + digits.length, Buffer.from(lie))
}

/** The same for lengths in binary: 1 to 4 bytes, either end first. */
const lieInBinary: Mutation = (input, random) => {
  const width = random.pick([1, 2, 3, 4])
  if (input.length < width) return Buffer.from(input)
  const copy = Buffer.from(input)
  const at = random.below(copy.length - width + 1)
  const most = 2 ** (8 * width) - 1
  const value = random.pick([0, 1, most, (most + 1) / 2, random.below(most), copy.length % most])
  if (random.chance(0.5)) copy.writeUIntBE(Math.floor(value), at, width)
  else copy.writeUIntLE(Math.floor(value), at, width)
  return copy
}

const MUTATIONS: readonly Mutation[] = [
  flipBit,
  setByte,
  truncate,
  remove,
  duplicate,
  swap,
  splice,
  lieInText,
  lieInBinary,
  insertWord,
  insertWord,
]

/** Most bytes that come out. */
const MOST_BYTES = 262_144

/** A damaged copy: one to six mutations, most often few. */
export function mutate(input: Buffer, random: Random, options: MutationOptions): Buffer {
  let bytes = input
  do bytes = random.pick(MUTATIONS)(bytes, random, options)
  while (random.chance(0.6))
  return bytes.subarray(0, MOST_BYTES)
}

/** Short stretches most often, as few bytes carry most of the meaning. */
function span(input: Buffer, random: Random): [from: number, to: number] {
  const length = random.chance(0.7) ? random.below(16) + 1 : random.below(input.length) + 1
  const from = random.below(input.length)
  return [from, Math.min(input.length, from + length)]
}

/** A word or a number of the text. */
function tokenIn(input: Buffer, random: Random): [from: number, to: number] {
  const tokens = [...input.toString('latin1').matchAll(/[\w.$-]+/g)]
  if (tokens.length === 0) return [0, 0]
  const { 0: token, index } = random.pick(tokens)
  return [index, index + token.length]
}

function replaced(input: Buffer, from: number, to: number, by: Buffer): Buffer {
  return Buffer.concat([input.subarray(0, from), by, input.subarray(to)])
}
