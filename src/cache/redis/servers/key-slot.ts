const SLOTS = 16_384

/** CRC16 (XModem: polynomial 0x1021, from 0), by byte; appendix A of the Redis Cluster specification. */
const TABLE: Uint16Array = Uint16Array.from({ length: 256 }, (_, byte) => {
  let crc = byte << 8
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  return crc
})

/** The slot of a key in a Redis Cluster: of the part in the first `{...}` that is not empty, if any. */
export function keySlot(key: string): number {
  const bytes = Buffer.from(key)
  const open = bytes.indexOf('{')
  const close = open === -1 ? -1 : bytes.indexOf('}', open + 1)
  const tagged = close > open + 1
  let crc = 0
  for (let i = tagged ? open + 1 : 0; i < (tagged ? close : bytes.length); i++) {
    crc = ((crc << 8) & 0xffff) ^ (TABLE[(crc >> 8) ^ (bytes[i] ?? 0)] ?? 0)
  }
  return crc % SLOTS
}
