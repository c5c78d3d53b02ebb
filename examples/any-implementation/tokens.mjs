// A language model is replaced: an answer comes token by token. The new model is slow to begin, and once it
// dies in mid-stream: before the first token the old model takes over, after it the caller is told. How the
// two count tokens, which is what they charge for, is compared.
import { setTimeout as sleep } from 'node:timers/promises'
import { createSwitch } from 'openfeature-switchback'
import { openFlags } from './flags.mjs'

function model(name, perToken) {
  return {
    fault: '',
    count: async (text) => ({ tokens: Math.ceil(text.length / perToken) }),
    async *ask(question, { signal } = {}) {
      if (this.fault === 'hangs') await sleep(60_000, undefined, { signal })
      yield `${name}:`
      if (this.fault === 'dies') throw new Error('connection reset')
      for (const word of question.split(' ')) yield word.toUpperCase()
    },
  }
}

const flags = await openFlags('use-new-model')
const [off, on] = [model('old', 4), model('new', 3)]
const [outcomes, events] = [[], []]
const chat = createSwitch({
  flag: 'use-new-model',
  flags: flags.source,
  off,
  on,
  methods: {
    ask: { kind: 'read', returns: 'stream', fallback: true, deadlineMs: 500, signal: 1 },
    count: { kind: 'read', fallback: true, compare: { share: 1, reveal: true } },
  },
  onEvent: ({ type, detail }) => type === 'mismatch' && events.push(detail),
  onCall: ({ side, outcome, servedBy }) =>
    outcomes.push(`${side} ${outcome}, served by ${servedBy}`),
})
const ask = async (user) => {
  const tokens = []
  try {
    for await (const token of chat.for({ targetingKey: user }).ask('put it back'))
      tokens.push(token)
  } catch (error) {
    tokens.push(`[${error.message}]`)
  }
  return `${tokens.join(' ')} (${outcomes.at(-1)})`
}

console.log(`at 0 %: ${await ask('user_1')}`)
for (; events.length === 0; await sleep(1)) await chat.count('put it back')
console.log(`compared: ${events[0]}`)
await flags.share(100)
console.log(`at 100 %: ${await ask('user_1')}`)
on.fault = 'hangs'
console.log(`hangs before it begins: ${await ask('user_1')}`)
on.fault = 'dies'
console.log(`dies in mid-stream: ${await ask('user_1')}`)
await flags.share(0)
console.log(`taken back: ${await ask('user_1')}`)
await chat.close()
await flags.close()
