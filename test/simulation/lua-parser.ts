/**
 * As much of Lua 5.1 as scripts in Redis use, translated to JavaScript: the simulated server runs the very
 * text that the shipped backend sends, so that an edit of a script is an edit of what is searched.
 */

interface Token {
  readonly kind: 'name' | 'number' | 'string' | 'op' | 'end'
  readonly text: string
  readonly line: number
}

const KEYWORDS = new Set(
  'and break do else elseif end false for function if in local nil not or repeat return then true until while'.split(
    ' ',
  ),
)
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '0': '\0' }
const OPS = /^(?:\.\.\.|\.\.|==|~=|<=|>=|[-+*/%^#<>=(){}[\];:,.])/u

function tokens(source: string): Token[] {
  const found: Token[] = []
  let at = 0
  let line = 1
  const fail = (what: string): never => {
    throw new Error(`Lua, line ${line}: ${what}`)
  }
  while (at < source.length) {
    const rest = source.slice(at)
    const blank = /^\s+/u.exec(rest)?.[0]
    if (blank !== undefined) {
      line += blank.split('\n').length - 1
      at += blank.length
      continue
    }
    const comment = /^--(?:\[\[[\s\S]*?\]\]|[^\n]*)/u.exec(rest)?.[0]
    if (comment !== undefined) {
      line += comment.split('\n').length - 1
      at += comment.length
      continue
    }
    const long = /^\[\[\n?([\s\S]*?)\]\]/u.exec(rest)
    if (long !== null) {
      found.push({ kind: 'string', text: long[1] ?? '', line })
      line += long[0].split('\n').length - 1
      at += long[0].length
      continue
    }
    const quoted = /^(?:'((?:\\[\s\S]|[^'\\\n])*)'|"((?:\\[\s\S]|[^"\\\n])*)")/u.exec(rest)
    if (quoted !== null) {
      const text = (quoted[1] ?? quoted[2] ?? '').replace(
        /\\(\d{1,3}|[\s\S])/gu,
        (_, code: string) =>
          /^\d/u.test(code) && code !== '0'
            ? String.fromCharCode(Number(code))
            : (ESCAPES[code] ?? code),
      )
      found.push({ kind: 'string', text, line })
      at += quoted[0].length
      continue
    }
    const number = /^(?:0x[\da-fA-F]+|\d+(?:\.\d*)?(?:[eE][+-]?\d+)?|\.\d+)/u.exec(rest)?.[0]
    if (number !== undefined) {
      found.push({ kind: 'number', text: number, line })
      at += number.length
      continue
    }
    const name = /^[A-Za-z_]\w*/u.exec(rest)?.[0]
    if (name !== undefined) {
      found.push({ kind: KEYWORDS.has(name) ? 'op' : 'name', text: name, line })
      at += name.length
      continue
    }
    const op = OPS.exec(rest)?.[0] ?? fail(`cannot read ${rest.slice(0, 10)}`)
    found.push({ kind: 'op', text: op, line })
    at += op.length
  }
  found.push({ kind: 'end', text: '', line })
  return found
}

const BINARY: Readonly<Record<string, readonly [left: number, right: number]>> = {
  or: [1, 1],
  and: [2, 2],
  '<': [3, 3],
  '>': [3, 3],
  '<=': [3, 3],
  '>=': [3, 3],
  '~=': [3, 3],
  '==': [3, 3],
  '..': [5, 4],
  '+': [6, 6],
  '-': [6, 6],
  '*': [7, 7],
  '/': [7, 7],
  '%': [7, 7],
  '^': [10, 9],
}
const UNARY = 8
const BLOCK_ENDS = new Set(['end', 'else', 'elseif', 'until'])

/** An expression: its JavaScript, and whether it is a call, which may give several values. */
interface Expression {
  readonly js: string
  readonly call: boolean
  /** A call that gives one value. */
  readonly single?: boolean
  /** Of a comparison: what JavaScript takes for true is true. */
  readonly bool?: boolean
  /** Nothing but a number. */
  readonly number?: boolean
  /** Of a global that is known: its name. */
  readonly global?: string
  readonly assign?: (value: string) => string
}

/** Functions of the library that give one value: no list has to be made for it. */
const SINGLE = new Set(
  'tonumber tostring type string.sub string.len string.format string.rep string.lower string.upper string.byte math.floor math.ceil math.abs math.max math.min redis.call redis.pcall redis.sha1hex'.split(
    ' ',
  ),
)

/** JavaScript whose free names are `L` (the library), `G` (the globals), `F` (the functions that globals name), `KEYS` and `ARGV`. */
export function translate(source: string): string {
  return new Parser(tokens(source)).program()
}

class Parser {
  readonly #tokens: readonly Token[]
  #at = 0
  #scopes: Map<string, string>[] = [new Map()]
  #names = 0
  #temporaries: string[] = []

  constructor(list: readonly Token[]) {
    this.#tokens = list
  }

  program(): string {
    const body = this.#withTemporaries(() => this.#block())
    if (this.#next.kind !== 'end') this.#fail(`unexpected ${this.#next.text}`)
    return body
  }

  #withTemporaries(build: () => string): string {
    const outer = this.#temporaries
    this.#temporaries = []
    const body = build()
    const own = this.#temporaries
    this.#temporaries = outer
    return own.length === 0 ? body : `let ${own.join(',')};${body}`
  }

  #temporary(): string {
    this.#names += 1
    const name = `t$${this.#names}`
    this.#temporaries.push(name)
    return name
  }

  get #next(): Token {
    return this.#tokens[this.#at]!
  }

  #fail(what: string): never {
    throw new Error(`Lua, line ${this.#next.line}: ${what}`)
  }

  #is(text: string): boolean {
    return this.#next.kind === 'op' && this.#next.text === text
  }

  #accept(text: string): boolean {
    if (!this.#is(text)) return false
    this.#at += 1
    return true
  }

  #expect(text: string): void {
    if (!this.#accept(text)) this.#fail(`expected ${text}, got ${this.#next.text}`)
  }

  #name(): string {
    const { kind, text } = this.#next
    if (kind !== 'name') this.#fail(`expected a name, got ${text}`)
    this.#at += 1
    return text
  }

  #declare(name: string): string {
    this.#names += 1
    const js = `${name}$${this.#names}`
    this.#scopes.at(-1)!.set(name, js)
    return js
  }

  #scoped<T>(work: () => T): T {
    this.#scopes.push(new Map())
    try {
      return work()
    } finally {
      this.#scopes.pop()
    }
  }

  #block(): string {
    return this.#scoped(() => {
      let js = ''
      for (;;) {
        while (this.#accept(';'));
        const { kind, text } = this.#next
        if (kind === 'end' || (kind === 'op' && BLOCK_ENDS.has(text))) return js
        js += `${this.#statement()}\n`
      }
    })
  }

  #statement(): string {
    if (this.#accept('local')) return this.#local()
    if (this.#accept('if')) return this.#if()
    if (this.#accept('return')) return this.#return()
    if (this.#accept('break')) return 'break;'
    if (this.#accept('do')) return this.#until('end', (body) => `{${body}}`)
    if (this.#accept('while')) {
      const condition = this.#condition()
      this.#expect('do')
      return this.#until('end', (body) => `while(${condition}){${body}}`)
    }
    if (this.#accept('for')) return this.#for()
    if (this.#accept('function')) {
      const name = this.#name()
      return `${this.#variable(name).assign!(this.#function())};`
    }
    return this.#assignmentOrCall()
  }

  #until(end: string, build: (body: string) => string): string {
    const body = this.#block()
    this.#expect(end)
    return build(body)
  }

  #condition(): string {
    return truth(this.#expression())
  }

  #local(): string {
    if (this.#accept('function')) {
      const js = this.#declare(this.#name())
      return `const ${js}=${this.#function()};`
    }
    const names = [this.#name()]
    while (this.#accept(',')) names.push(this.#name())
    const values = this.#accept('=') ? this.#list() : []
    const simple = names.length === 1 && values.length === 1
    const value = simple ? single(values[0]!) : spread(values)
    const declared = names.map((name) => this.#declare(name))
    return simple ? `let ${declared[0]}=${value};` : `let [${declared.join(',')}]=[${value}];`
  }

  #if(): string {
    let js = `if(${this.#condition()})`
    this.#expect('then')
    js += `{${this.#block()}}`
    for (;;) {
      if (this.#accept('elseif')) {
        js += `else if(${this.#condition()})`
        this.#expect('then')
        js += `{${this.#block()}}`
      } else if (this.#accept('else')) {
        js += `else{${this.#block()}}`
      } else {
        this.#expect('end')
        return js
      }
    }
  }

  #return(): string {
    const { kind, text } = this.#next
    const ends = kind === 'end' || (kind === 'op' && (BLOCK_ENDS.has(text) || text === ';'))
    const values = ends ? [] : this.#list()
    this.#accept(';')
    if (values.length === 1) return `return ${values[0]!.js};`
    return values.length === 0 ? 'return;' : `return L.many(${spread(values)});`
  }

  #for(): string {
    const first = this.#name()
    if (this.#accept('=')) {
      const bounds = this.#list().map(single)
      this.#expect('do')
      return this.#scoped(() => {
        const js = this.#declare(first)
        const step = bounds[2] ?? '1'
        const test = `${step}>0?${js}<=${bounds[1]}:${js}>=${bounds[1]}`
        return this.#until(
          'end',
          (body) => `for(let ${js}=${bounds[0]};${test};${js}+=${step}){${body}}`,
        )
      })
    }
    const names = [first]
    while (this.#accept(',')) names.push(this.#name())
    this.#expect('in')
    const over = single(this.#list()[0]!)
    this.#expect('do')
    return this.#scoped(() => {
      const declared = names.map((name) => this.#declare(name))
      return this.#until('end', (body) => `for(const [${declared.join(',')}] of ${over}){${body}}`)
    })
  }

  #assignmentOrCall(): string {
    const targets = [this.#suffixed()]
    while (this.#accept(',')) targets.push(this.#suffixed())
    if (!this.#accept('=')) {
      if (!targets[0]!.call) this.#fail('expected a statement')
      return `${targets[0]!.js};`
    }
    const values = this.#list()
    if (targets.length === 1) return `${targets[0]!.assign!(single(values[0]!))};`
    const each = targets.map((target, i) => `${target.assign!(`v[${i}]`)};`).join('')
    return `{const v=[${spread(values)}];${each}}`
  }

  #list(): Expression[] {
    const all = [this.#expression()]
    while (this.#accept(',')) all.push(this.#expression())
    return all
  }

  #one(): string {
    return single(this.#expression())
  }

  #expression(limit = 0): Expression {
    let left = this.#unary()
    for (;;) {
      const { kind, text } = this.#next
      const power = kind === 'op' ? BINARY[text] : undefined
      if (power === undefined || power[0] <= limit) return left
      this.#at += 1
      const right = this.#expression(power[1])
      left = this.#binary(text, left, right)
    }
  }

  #binary(op: string, left: Expression, right: Expression): Expression {
    if (op === 'and' || op === 'or') {
      const and = op === 'and'
      if (left.bool === true && right.bool === true) {
        return { js: `(${left.js}${and ? '&&' : '||'}${right.js})`, call: false, bool: true }
      }
      const held = this.#temporary()
      const test = left.bool === true ? `(${held}=${left.js})` : `L.truthy(${held}=${single(left)})`
      const [yes, no] = and ? [single(right), held] : [held, single(right)]
      return { js: `(${test}?${yes}:${no})`, call: false }
    }
    const bool = op === '==' || op === '~=' || op.startsWith('<') || op.startsWith('>')
    if ('+-*/%^'.includes(op)) {
      return { js: binary(op, number(left), number(right)), call: false, number: true }
    }
    return { js: binary(op, single(left), single(right)), call: false, bool }
  }

  #unary(): Expression {
    if (this.#accept('not')) {
      return { js: `!${truth(this.#expression(UNARY))}`, call: false, bool: true }
    }
    if (this.#accept('-')) return plain(`(-${number(this.#expression(UNARY))})`)
    if (this.#accept('#')) return plain(`L.len(${single(this.#expression(UNARY))})`)
    const { kind, text } = this.#next
    if (kind === 'number' || kind === 'string') {
      this.#at += 1
      if (kind === 'number') return { js: String(Number(text)), call: false, number: true }
      return plain(JSON.stringify(text))
    }
    if (this.#accept('nil')) return plain('undefined')
    if (this.#accept('true')) return plain('true')
    if (this.#accept('false')) return plain('false')
    if (this.#accept('function')) return plain(this.#function())
    if (this.#is('{')) return plain(this.#table())
    return this.#suffixed()
  }

  #variable(name: string): Expression {
    const scope = this.#scopes.findLast((one) => one.has(name))
    if (scope === undefined) {
      const global = name === 'KEYS' || name === 'ARGV' ? name : `G[${JSON.stringify(name)}]`
      return { js: global, call: false, global: name, assign: () => this.#fail('globals stay') }
    }
    const js = scope.get(name)!
    return { js, call: false, assign: (value) => `${js}=${value}` }
  }

  #suffixed(): Expression {
    let left: Expression
    if (this.#accept('(')) {
      const inner = this.#expression()
      left = { ...plain(`(${single(inner)})`), number: inner.number === true }
      this.#expect(')')
    } else {
      left = this.#variable(this.#name())
    }
    for (;;) {
      const { kind } = this.#next
      if (this.#accept('.')) left = member(left, JSON.stringify(this.#name()))
      else if (this.#accept('[')) {
        left = member(left, this.#one())
        this.#expect(']')
      } else if (this.#accept(':')) {
        const name = JSON.stringify(this.#name())
        left = { js: `L.method(${single(left)},${name},${this.#arguments()})`, call: true }
      } else if (this.#is('(') || this.#is('{') || kind === 'string') {
        const { global } = left
        left =
          global !== undefined && SINGLE.has(global)
            ? {
                js: `F[${JSON.stringify(global)}](${this.#arguments()})`,
                call: true,
                single: true,
              }
            : { js: `${single(left)}(${this.#arguments()})`, call: true }
      } else return left
    }
  }

  #arguments(): string {
    if (this.#next.kind === 'string') {
      this.#at += 1
      return JSON.stringify(this.#tokens[this.#at - 1]!.text)
    }
    if (this.#is('{')) return this.#table()
    this.#expect('(')
    if (this.#accept(')')) return ''
    const values = this.#list()
    this.#expect(')')
    return spread(values)
  }

  #function(): string {
    this.#expect('(')
    return this.#scoped(() => {
      const names: string[] = []
      while (!this.#accept(')')) {
        names.push(this.#declare(this.#name()))
        this.#accept(',')
      }
      const body = this.#withTemporaries(() => this.#until('end', (text) => text))
      return `(${names.join(',')})=>{${body}}`
    })
  }

  #table(): string {
    this.#expect('{')
    const fields: string[] = []
    const values: Expression[] = []
    while (!this.#accept('}')) {
      if (this.#accept('[')) {
        const key = this.#one()
        this.#expect(']')
        this.#expect('=')
        fields.push(`[${key},${this.#one()}]`)
      } else if (this.#next.kind === 'name' && this.#tokens[this.#at + 1]?.text === '=') {
        const key = JSON.stringify(this.#name())
        this.#expect('=')
        fields.push(`[${key},${this.#one()}]`)
      } else {
        values.push(this.#expression())
      }
      if (!this.#accept(',')) this.#accept(';')
    }
    return `L.table([${spread(values)}],[${fields.join(',')}])`
  }
}

function plain(js: string): Expression {
  return { js, call: false }
}

/** As a condition. */
function truth(of: Expression): string {
  return of.bool === true ? of.js : `L.truthy(${single(of)})`
}

function number(of: Expression): string {
  return of.number === true ? of.js : `L.num(${single(of)})`
}

function member(of: Expression, key: string): Expression {
  const table = single(of)
  return {
    js: `L.index(${table},${key})`,
    call: false,
    ...(of.global === undefined ? {} : { global: `${of.global}.${key.replaceAll('"', '')}` }),
    assign: (value) => `L.put(${table},${key},${value})`,
  }
}

function single({ js, call, single: alone }: Expression): string {
  return call && alone !== true ? `L.first(${js})` : js
}

/** In a list only the last expression gives all of its values. */
function spread(values: readonly Expression[]): string {
  return values
    .map((value, i) =>
      value.call && value.single !== true && i === values.length - 1
        ? `...L.all(${value.js})`
        : single(value),
    )
    .join(',')
}

function binary(op: string, left: string, right: string): string {
  switch (op) {
    case '..':
      return `L.concat(${left},${right})`
    case '==':
      return `(${left}===${right})`
    case '~=':
      return `(${left}!==${right})`
    case '<':
      return `L.less(${left},${right})`
    case '>':
      return `L.less(${right},${left})`
    case '<=':
      return `L.atMost(${left},${right})`
    case '>=':
      return `L.atMost(${right},${left})`
    case '%':
      return `L.mod(${left},${right})`
    case '^':
      return `(${left})**(${right})`
    default:
      return `(${left}${op}${right})`
  }
}
