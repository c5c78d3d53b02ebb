/** One way on from a state: what happened, the state after it, and what is wrong with it, if anything. */
export interface Step<S> {
  readonly label: string
  readonly state: S
  readonly wrong?: string | undefined
}

export interface Found {
  /** `limit`: more states than were allowed, none of them wrong. */
  readonly verdict: 'HOLDS' | 'VIOLATED' | 'LIMIT'
  readonly states: number
  readonly depth: number
  /** The shortest way to what is wrong, a line each. */
  readonly story: readonly string[]
}

/**
 * Explores every state that can be reached, the nearest first, so that the first wrong one is a shortest
 * story. States that differ only in the names of tokens (`t1`, `t2`, ...) count once.
 */
export function explore<S>(
  initial: S,
  steps: (state: S) => Iterable<Step<S>>,
  maxStates: number,
): Found {
  const first = canonical(initial)
  const seen = new Map<string, readonly [string, string] | undefined>([[first, undefined]])
  let layer = [first]
  let depth = 0
  const storyOf = (key: string): string[] => {
    const lines: string[] = []
    for (let at = seen.get(key); at !== undefined; at = seen.get(at[0])) lines.push(at[1])
    return lines.toReversed()
  }
  while (layer.length > 0) {
    const next: string[] = []
    for (const key of layer) {
      for (const { label, state, wrong } of steps(JSON.parse(key) as S)) {
        if (wrong !== undefined) {
          const story = [...storyOf(key), `${label} => ${wrong}`]
          return { verdict: 'VIOLATED', states: seen.size, depth, story }
        }
        const reached = canonical(state)
        if (seen.has(reached)) continue
        seen.set(reached, [key, label])
        next.push(reached)
      }
      if (seen.size > maxStates) return { verdict: 'LIMIT', states: seen.size, depth, story: [] }
    }
    layer = next
    depth += 1
  }
  return { verdict: 'HOLDS', states: seen.size, depth, story: [] }
}

/** The state as text, its tokens named by their order. Most texts have them in order, and cost no look at a pattern. */
function canonical(state: unknown): string {
  const text = JSON.stringify(state)
  let next = 0
  for (const number of tokens(text)) {
    if (number > next) return renamed(text)
    if (number === next) next += 1
  }
  return text
}

function renamed(text: string): string {
  const names = new Map<string, string>()
  return text.replaceAll(/t\d+/gu, (token) => {
    let name = names.get(token)
    if (name === undefined) names.set(token, (name = `t${names.size}`))
    return name
  })
}

/** A token that stands nowhere in the state. */
export function fresh(state: unknown): string {
  return `t${Math.max(-1, ...tokens(JSON.stringify(state))) + 1}`
}

/** The numbers of the tokens in a text, in their order. */
function tokens(text: string): number[] {
  const numbers: number[] = []
  for (let at = text.indexOf('t'); at !== -1; at = text.indexOf('t', at + 1)) {
    let number = -1
    for (let digit = digitAt(text, at + 1); digit >= 0; digit = digitAt(text, at + 1)) {
      number = Math.max(number, 0) * 10 + digit
      at += 1
    }
    if (number >= 0) numbers.push(number)
  }
  return numbers
}

/** Anything outside 0 to 9 is no digit. */
function digitAt(text: string, at: number): number {
  const digit = text.charCodeAt(at) - 48
  return digit <= 9 ? digit : -1
}
