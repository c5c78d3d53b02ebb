import { connect } from 'node:net'

/**
 * What a script of one's own does that knows of no traffic, without a client in between: SCAN, then in one write each
 * the PTTL and DUMP of a page, and their RESTOREs; the next page is read while one is written.
 *
 * @returns how many keys were copied
 */
export async function pipelined(source, target, db, pattern) {
  const [from, to] = [new Wire(source), new Wire(target)]
  await to.send([['SELECT', String(db)]])
  let [cursor, copied] = ['0', 0]
  let writing = Promise.resolve([])
  do {
    const [[next, names]] = await from.send([['SCAN', cursor, 'MATCH', pattern, 'COUNT', '500']])
    cursor = next.latin1Slice()
    const asked = names.flatMap((name) => [
      ['PTTL', name],
      ['DUMP', name],
    ])
    const answers = await from.send(asked)
    for (const reply of await writing) if (reply === 'OK') copied += 1
    writing = to.send(
      names.map((name, i) => {
        const ttl = Math.max(0, answers[2 * i])
        return ['RESTORE', name, String(ttl), answers[2 * i + 1]]
      }),
    )
  } while (cursor !== '0')
  for (const reply of await writing) if (reply === 'OK') copied += 1
  from.end()
  to.end()
  return copied
}

class Wire {
  #socket
  #left = Buffer.alloc(0)
  #replies = []
  #wanted = 0
  #done = () => {}

  constructor(port) {
    this.#socket = connect(port, '127.0.0.1').setNoDelay(true)
    this.#socket.on('data', (bytes) => this.#read(bytes))
  }

  /** One after another: a second call waits for no first one. */
  send(commands) {
    if (commands.length === 0) return Promise.resolve([])
    const parts = []
    let text = ''
    for (const words of commands) {
      text += `*${words.length}\r\n`
      for (const word of words) {
        text += `$${Buffer.byteLength(word)}\r\n`
        if (typeof word === 'string') text += word
        else {
          parts.push(Buffer.from(text), word)
          text = ''
        }
        text += '\r\n'
      }
    }
    parts.push(Buffer.from(text))
    this.#wanted = commands.length
    this.#socket.write(Buffer.concat(parts))
    return new Promise((resolve) => (this.#done = resolve))
  }

  end() {
    this.#socket.destroy()
  }

  #read(bytes) {
    const all = this.#left.length === 0 ? bytes : Buffer.concat([this.#left, bytes])
    let at = 0
    for (;;) {
      const one = parse(all, at)
      if (one === undefined) break
      this.#replies.push(one.reply)
      at = one.end
    }
    this.#left = all.subarray(at)
    if (this.#replies.length < this.#wanted) return
    const replies = this.#replies
    this.#replies = []
    this.#done(replies)
  }
}

/** A reply of RESP 2: bulk strings as bytes, an error as `undefined`. */
function parse(all, at) {
  const line = all.indexOf('\r\n', at)
  if (line === -1) return undefined
  const text = all.latin1Slice(at + 1, line)
  let end = line + 2
  switch (all[at]) {
    case 0x2b:
      return { reply: text, end }
    case 0x3a:
      return { reply: Number(text), end }
    case 0x24: {
      if (text === '-1') return { reply: null, end }
      const to = end + Number(text)
      if (all.length < to + 2) return undefined
      return { reply: all.subarray(end, to), end: to + 2 }
    }
    case 0x2a: {
      const list = []
      for (let i = 0; i < Number(text); i += 1) {
        const one = parse(all, end)
        if (one === undefined) return undefined
        list.push(one.reply)
        end = one.end
      }
      return { reply: list, end }
    }
    default:
      return { reply: undefined, end }
  }
}
