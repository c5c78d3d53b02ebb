/**
 * Each mechanism of the coherence protocol, and the edit that leaves it out. `tests` must pass as they
 * are and fail with the edit. Schedules are named by a part of their title; `interleavings` is the
 * random search over the switch's own code.
 */
const interleavings = { file: 'test/switch/interleavings.test.ts' }
const fences = (title) => ({ file: 'test/switch/fences.test.ts', title })
const schedule = (title) => ({ file: 'test/switch/schedules.test.ts', title })

export const mutations = [
  {
    name: 'no tombstone on the standby',
    file: 'src/switch/coherence.ts',
    from: 'const { done, token } = await standby.invalidate(key, successor)',
    to: "const { done, token } = { done: true, token: 'none', successor }",
    tests: [interleavings, schedule('a back-fill that read v1 lands after v2 was set')],
  },
  {
    name: 'fills are unconditional',
    file: 'src/switch/coherence.ts',
    from: 'await place.write(key, entry, cell.token)',
    to: 'await place.write(key, entry, ANY)',
    tests: [interleavings, schedule('a loader that read v1 returns after v2 was set')],
  },
  {
    name: 'back-fills are unconditional',
    file: 'src/switch/moves.ts',
    from: 'await active.write(key, found, missed.token)',
    to: "await active.write(key, found, missed === undefined ? missed : '*')",
    tests: [interleavings, schedule('a back-fill that read v1 lands after v2 was set')],
  },
  {
    name: 'back-fill over a tombstone',
    file: 'src/switch/moves.ts',
    from: "return op.cell.state === 'absent' ||",
    to: "return op.cell.state === 'absent' || op.cell.state === 'tombstone' ||",
    tests: [interleavings, schedule('a delete has marked one side, not yet the other')],
  },
  {
    name: 'a tombstone that names any successor is believed',
    file: 'src/switch/moves.ts',
    from: '(named && found.token === cell.successor)',
    to: '(named && found.token !== "")',
    // Only another machine's file store can hold anything else.
    tests: [schedule('names the machine that holds the value')],
  },
  {
    name: 'the standby is told first',
    file: 'src/switch/coherence.ts',
    from: 'const { written, token } = await active.write(key, entry, ANY)\n        if (written) {',
    to: "const standbyFirst = op.single ? '' : await this.#supersede(standby, key, '')\n        const { written, token } = await active.write(key, entry, ANY)\n        if (written) return { activeToken: token, standbyToken: standbyFirst }\n        if (written) {",
    tests: [interleavings, schedule('two sets on different sides cross')],
  },
  {
    name: 'nothing is owed',
    file: 'src/switch/debts.ts',
    from: "recorder.event(side, 'owed')",
    to: "recorder.event(side, 'owed')\n    if (maxOwed > 0) return",
    tests: [interleavings, schedule('a set that Redis did not answer is not undone')],
  },
  {
    name: 'reads do not consult the ledger',
    file: 'src/switch/trust.ts',
    from: 'return side.usable ? debts.trustedFrom(side.side, key) : NEVER_TRUSTED',
    to: 'return side.usable ? (key === "" ? debts.trustedFrom(side.side, key) : 0) : NEVER_TRUSTED',
    tests: [interleavings, schedule('every process of the machine consults the ledger')],
  },
  {
    name: 'debts are repaid before a late write can have landed',
    file: 'src/switch/replay.ts',
    from: 'await side.invalidate(owed.key, successor, owed.notBefore)',
    to: 'await side.invalidate(owed.key, successor, 0)',
    // The random search needs some 40,000 schedules for it: only a write that failed long before its
    // deadline, or a clock that is off, tells the difference.
    tests: [schedule('is not repaid before it can have landed')],
  },
  {
    name: 'late writes are not refused',
    file: 'src/switch/guarded-side.ts',
    from: '{ expect, within: this.deadlineMs }',
    to: '{ expect, within: this.deadlineMs + 1e9 }',
    tests: [schedule('a set that lands late is refused')],
  },
  {
    name: 'a debt that was owed again is settled with the older one',
    file: 'src/switch/replay.ts',
    from: 'return done && (await ledger.settle(owed))',
    to: 'return done && (await ledger.settle({ ...owed, generation: ledger.list(side.side, 1000).find((other) => other.key === owed.key)?.generation ?? owed.generation }))',
    tests: [schedule('who repaid the older debt does not settle the newer one')],
  },
  {
    name: 'a value moves over one that a fence covers',
    file: 'src/switch/moves.ts',
    from: 'if (fenced || !this.#mayReplace(active, missed)) return',
    to: 'if (fenced) return',
    tests: [interleavings, fences('a set that a fence covers has reached Redis')],
  },
  {
    name: 'a write is acknowledged though its side was fenced meanwhile',
    file: 'src/switch/coherence.ts',
    from: 'if (this.#debts.fencedBefore(side.side) <= fence) return false',
    to: "if (this.#debts.fencedBefore(side.side) <= fence || key !== '') return false",
    tests: [interleavings, fences('loses it in a restart')],
  },
  {
    name: 'a value moves to a side that was fenced since it was missed there',
    file: 'src/switch/moves.ts',
    from: 'if (fenced || !this.#mayReplace(active, missed)) return',
    to: 'if (!this.#mayReplace(active, missed)) return',
    tests: [fences('a value read before Redis lost its successor')],
  },
  {
    name: 'the mirror writes over a fence',
    file: 'src/switch/background.ts',
    from: 'if (trustedFrom(this.#parts.debts, standby, key) > op.standbyFence) {',
    to: "if (op.key === '') {",
    tests: [fences('a mirror that was held up')],
  },
  {
    name: 'the fences of others say nothing of whom one is connected to',
    file: 'src/switch/debts.ts',
    from: 'this.#parts.sides[side].backend.recheck?.()',
    to: 'void 0',
    tests: [{ file: 'test/switch/split-brain.test.ts' }],
  },
  {
    name: 'a fence settles what is owed',
    file: 'src/cache/file/ledger.ts',
    from: 'await this.#store.run(() => this.#noteFence(side, before))',
    to: 'await this.#store.run(() => this.#noteFence(side, before))\n      await this.writeOff(side)',
    tests: [fences('what was owed before the clock of Redis stepped back')],
  },
  {
    name: 'a flight is joined by key alone',
    file: 'src/switch/loads.ts',
    from: '`${op.place.side}:${op.cell.token}:${op.key}`',
    to: '`${op.place.side}:${op.key}`',
    tests: [interleavings, schedule('is not joined after it')],
  },
  {
    name: 'expiry is renewed when a value moves',
    file: 'src/switch/moves.ts',
    from: 'await active.write(key, found, missed.token)',
    to: 'await active.write(key, { ...found, expiresAt: found.expiresAt + 1000 }, missed.token)',
    tests: [schedule('moving over does not renew it')],
  },
  {
    name: 'a fill may be slower than a tombstone lives',
    file: 'src/switch/coherence.ts',
    from: 'const slow = loadMs > place.backend.tombstoneTtl / 2',
    to: 'const slow = loadMs > place.backend.tombstoneTtl * 1000',
    tests: [schedule('a load slower than half of its life is not stored')],
  },
  {
    name: 'file values of any age move in a fleet',
    file: 'src/switch/moves.ts',
    from: 'if (!this.#fleet || backend.ledger === undefined) return true',
    to: 'if (!this.#fleet || backend.name !== "") return true',
    tests: [schedule('an old file value does not move to the shared side')],
  },
  {
    name: 'a single-backend mode is left without a fence',
    file: 'src/switch/standby-policy.ts',
    from: 'if (returns && side !== unusedSide(policy)) {',
    to: 'if (returns && side !== unusedSide(policy) && was === "mirror") {',
    tests: [schedule('leaving the mode distrusts what the other side held')],
  },
  {
    name: 'the mirror writes without comparing',
    file: 'src/switch/background.ts',
    from: 'await standby.write(key, entry, standbyToken)',
    to: "await standby.write(key, entry, standbyToken === '' ? standbyToken : '*')",
    tests: [interleavings, schedule('both sides get the value of the later of two crossing sets')],
  },
  {
    name: 'the mirror does not look whether its own write still stands',
    file: 'src/switch/background.ts',
    from: 'if (own.token !== activeToken) return',
    to: "if (own.token === 'never') return",
    tests: [interleavings],
  },
]
