const C1 = 0xcc9e2d51
const C2 = 0x1b873593

/** The 32-bit MurmurHash3 of the bytes of a text's UTF-8, seed 0: what flagd buckets by. */
export function murmur3(text: string): number {
  for (let at = 0; at < text.length; at++) {
    if (text.charCodeAt(at) > 127) return ofBytes(Buffer.from(text, 'utf8'))
  }
  const length = text.length
  const blocks = length & ~3
  let hash = 0
  for (let at = 0; at < blocks; at += 4) {
    const block =
      text.charCodeAt(at) |
      (text.charCodeAt(at + 1) << 8) |
      (text.charCodeAt(at + 2) << 16) |
      (text.charCodeAt(at + 3) << 24)
    hash = mixed(hash, block)
  }
  let rest = 0
  for (let at = length - 1; at >= blocks; at--) rest = (rest << 8) | text.charCodeAt(at)
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
