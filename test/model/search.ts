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

function canonical(state: unknown): string {
  const names = new Map<string, string>()
  return JSON.stringify(state).replaceAll(/t\d+/gu, (token) => {
    let name = names.get(token)
    if (name === undefined) names.set(token, (name = `t${names.size}`))
    return name
  })
}

/** A token that stands nowhere in the state. */
export function fresh(state: unknown): string {
  let highest = -1
  for (const [, number] of JSON.stringify(state).matchAll(/t(\d+)/gu)) {
    highest = Math.max(highest, Number(number))
  }
  return `t${highest + 1}`
}
