import { randomFillSync } from 'node:crypto'

const pool: Buffer = Buffer.allocUnsafeSlow(9 * 1024)
const words = new Int32Array(pool.buffer, pool.byteOffset, pool.length / 4)
let used: number = pool.length

/** A fresh cell token: 72 random bits in base64url. */
export function freshToken(): string {
  const at = take(9)
  return pool.toString('base64url', at, at + 9)
}

/** 32 random bits. Two of them make a stamp. */
export function freshWord(): number {
  return words[(take(8) + 3) >> 2] ?? 0
}

/** Random bytes are asked for in bulk: each call to the system's source costs a microsecond. */
function take(count: number): number {
  if (used + count > pool.length) {
    randomFillSync(pool)
    used = 0
  }
  const at = used
  used += count
  return at
}
