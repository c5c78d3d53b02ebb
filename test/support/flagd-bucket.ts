/** murmur3_x86_32, seed 0, over UTF-8 bytes: written from the algorithm's definition, as an oracle. */
export function murmur3(text: string): number {
  const bytes = Buffer.from(text, 'utf8')
  const scramble = (block: number): number =>
    Math.imul(rotate(Math.imul(block, 0xcc9e2d51), 15), 0x1b873593)
  let hash = 0
  const whole = bytes.length & ~3
  for (let at = 0; at < whole; at += 4) {
    hash = (Math.imul(rotate(hash ^ scramble(bytes.readInt32LE(at)), 13), 5) + 0xe6546b64) | 0
  }
  let tail = 0
  for (let at = bytes.length - 1; at >= whole; at--) tail = (tail << 8) | (bytes[at] as number)
  if (bytes.length > whole) hash ^= scramble(tail)
  hash ^= bytes.length
  hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b)
  hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35)
  return (hash ^ (hash >>> 16)) >>> 0
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits))
}

/** Whether flagd's shorthand `fractional` with `["on", share], ["off", 100 - share]` gives `on`. */
export function isOn(flagKey: string, targetingKey: string, share: number): boolean {
  return Math.floor((murmur3(flagKey + targetingKey) * 100) / 2 ** 32) < share
}
