// A search index moves to another one: two SQLite full-text tables, of which the new one ranks otherwise
// and has lost a document. Dual write, shadow reads, half of the users, and back.
import { setImmediate as nextTurn } from 'node:timers/promises'
import Database from 'libsql'
import { createSwitch, createTelemetry } from 'openfeature-switchback'
import { openFlags } from './flags.mjs'

class Index {
  #db = new Database(':memory:')
  #tokenizer
  constructor(tokenizer) {
    this.#tokenizer = tokenizer
    this.#db.exec(`CREATE VIRTUAL TABLE docs USING fts5(id, text, tokenize = '${tokenizer}')`)
  }
  async index(id, text) {
    if (this.broken) throw new Error('disk full')
    this.#db.prepare('INSERT INTO docs VALUES (?, ?)').run(id, text)
  }
  async find(query) {
    if (this.broken) throw new Error('disk full')
    const found = this.#db.prepare('SELECT id FROM docs WHERE docs MATCH ?').all(query)
    return { hits: found.map(({ id }) => id), tokenizer: this.#tokenizer }
  }
}

const flags = await openFlags('use-porter')
const [off, on] = [new Index('unicode61'), new Index('porter')]
const telemetry = createTelemetry()
const mismatches = []
const search = createSwitch({
  flag: 'use-porter',
  flags: flags.source,
  off,
  on,
  name: 'search',
  telemetry,
  methods: {
    find: {
      kind: 'read',
      fallback: true,
      compare: { share: 1, equal: (own, other) => own.hits.join() === other.hits.join() },
    },
    index: { kind: 'write', to: 'both' },
  },
  onEvent: ({ type, message }) => type === 'mismatch' && mismatches.push(message),
})
const find = (user, query) => search.for({ targetingKey: user }).find(query)
const served = async () => {
  const all = await Promise.all(flags.users.map((user) => find(user, 'flag')))
  return all.filter(({ tokenizer }) => tokenizer === 'porter').length
}

await search.index('a', 'a flag decides')
await search.index('b', 'flags for everybody')
console.log(
  `both sides have ${(await off.find('flag')).hits.length + (await on.find('flag')).hits.length} hits for "flag"`,
)
console.log(`at 0 %: ${await served()} of 100 users are served by the new index`)
while (mismatches.length === 0) {
  await find('user_1', 'flag')
  await nextTurn() // comparisons wait until the caller has its answer
}
console.log(`shadow reads: ${mismatches[0]}`)
await flags.share(50)
const half = await served()
console.log(`at 50 %: about half, ${half > 25 && half < 75}`)
on.broken = true
const all = await Promise.all(flags.users.map((user) => find(user, 'flag')))
console.log(
  `new index broken: ${all.filter(({ hits }) => hits.length > 0).length} of 100 requests answered`,
)
await flags.share(0)
on.broken = false
console.log(`taken back: ${await served()} of 100 users are served by the new index`)
await search.close()
await flags.close()
