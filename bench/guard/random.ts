/** A seeded source of random numbers: xoshiro128** (Blackman & Vigna), seeded by splitmix32. */
export class Random {
  #s: Uint32Array

  constructor(seed: number) {
    let x = seed >>> 0
    this.#s = Uint32Array.from({ length: 4 }, () => {
      x = (x + 0x9e37_79b9) >>> 0
      let z = x
      z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b)
      z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35)
      return (z ^ (z >>> 16)) >>> 0
    })
  }

  /** 0 (included) to 1 (excluded). */
  next(): number {
    const s = this.#s
    const y = Math.imul(s[1]!, 5)
    const result = Math.imul((y << 7) | (y >>> 25), 9) >>> 0
    const t = s[1]! << 9
    s[2]! ^= s[0]!
    s[3]! ^= s[1]!
    s[1]! ^= s[2]!
    s[0]! ^= s[3]!
    s[2]! ^= t
    s[3] = (s[3]! << 11) | (s[3]! >>> 21)
    return result / 2 ** 32
  }

  below(n: number): number {
    return Math.floor(this.next() * n)
  }

  normal(): number {
    return Math.sqrt(-2 * Math.log(1 - this.next())) * Math.cos(2 * Math.PI * this.next())
  }

  /** Gamma with mean 1 (Marsaglia & Tsang, with the boost for shapes below 1). */
  gamma(shape: number): number {
    const d = (shape < 1 ? shape + 1 : shape) - 1 / 3
    const c = 1 / Math.sqrt(9 * d)
    for (;;) {
      const x = this.normal()
      const v = (1 + c * x) ** 3
      if (v <= 0 || Math.log(1 - this.next()) >= 0.5 * x * x + d - d * v + d * Math.log(v)) continue
      const boost = shape < 1 ? (1 - this.next()) ** (1 / shape) : 1
      return (d * v * boost) / shape
    }
  }
}
