/** MurmurHash3, x86, 32 bits, seed 0, over UTF-8: what flagd's `fractional` hashes users with. Unsigned. */
export function murmur3(text: string): number {
  const bytes = Buffer.from(text, 'utf8')
  const { length } = bytes
  const blocks = length & ~3
  let hash = 0
  for (let at = 0; at < blocks; at += 4) {
    hash ^= scrambled(bytes.readUInt32LE(at))
    hash = Math.imul((hash << 13) | (hash >>> 19), 5) + 0xe6546b64
  }
  let tail = 0
  for (let at = length - 1; at >= blocks; at--) tail = (tail << 8) | (bytes[at] as number)
  hash ^= scrambled(tail) ^ length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function scrambled(block: number): number {
  const product = Math.imul(block, 0xcc9e2d51)
  return Math.imul((product << 15) | (product >>> 17), 0x1b873593)
}
