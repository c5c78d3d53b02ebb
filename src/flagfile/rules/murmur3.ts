const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** The 32-bit MurmurHash3 of the bytes of a text's UTF-8, seed 0: what flagd buckets by. */
export function murmur3(text: string): number {
  if (!isAscii(text)) return ofBytes(Buffer.from(text, 'utf8'))
  return ending(blocksOf(text, 0), text, text.length)
}

/** The same of texts that begin alike: the beginning is hashed once. */
export function murmur3After(beginning: string): (end: string) => number {
  if (!isAscii(beginning)) return (end) => murmur3(beginning + end)
  const hash = blocksOf(beginning, 0)
  const left = beginning.slice(beginning.length & ~3)
  return (end) => {
    if (!isAscii(end)) return murmur3(beginning + end)
    const text = left + end
    return ending(blocksOf(text, hash), text, beginning.length + end.length)
  }
}

function isAscii(text: string): boolean {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) return false
  }
  return true
}

function blocksOf(text: string, before: number): number {
  const blocks = text.length & ~3
  let hash = before
  for (let at = 0; at < blocks; at += 4) {
    const block =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24)
    hash = mixed(hash, block)
  }
  return hash
}

/** @param length of all that was hashed */
function ending(hash: number, text: string, length: number): number {
  let rest = 0
  for (let at = text.length - 1; at >= (text.length & ~3); at--) {
    rest = (rest << 8) | text.charCodeAt(at)
  }
  return finished(hash, rest, length)
}

function ofBytes(bytes: Buffer): number {
  const length = bytes.length
  const blocks = length & ~3
  let hash = 0
  for (let at = 0; at < blocks; at += 4) hash = mixed(hash, bytes.readInt32LE(at))
  let rest = 0
  for (let at = length - 1; at >= blocks; at--) rest = (rest << 8) | (bytes[at] as number)
  return finished(hash, rest, length)
}

function scrambled(block: number): number {
  const product = Math.imul(block, C1)
  return Math.imul((product << 15) | (product >>> 17), C2)
}

function mixed(hash: number, block: number): number {
  const next = hash ^ scrambled(block)
  return (Math.imul((next << 13) | (next >>> 19), 5) + 0xe6546b64) | 0
}

function finished(hash: number, rest: number, length: number): number {
  let final = hash ^ scrambled(rest) ^ length
  final = Math.imul(final ^ (final >>> 16), 0x85ebca6b)
  final = Math.imul(final ^ (final >>> 13), 0xc2b2ae35)
  return (final ^ (final >>> 16)) >>> 0
}
