import { quote, SwitchbackError } from '../../errors.ts'
import type { Series } from '../../scrape/index.ts'

/** `name{label="value",other!="x",third=~"a|b"}`, as PromQL selects series. */
export interface Selector {
  readonly text: string
  readonly name: string
  matches(series: Series): boolean
}

const SHAPE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)\s*(?:\{(.*)\})?$/s
const MATCHER = /^\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*(=~|!~|!=|=)\s*"((?:[^"\\]|\\.)*)"\s*(?:,|$)/

/** @throws SwitchbackError `SB_SELECTOR_INVALID` */
export function parseSelector(text: string): Selector {
  const refuse = (why: string, cause?: unknown): never => {
    throw new SwitchbackError('SB_SELECTOR_INVALID', `Selector ${quote(text)}: ${why}`, {
      hint: 'Write it as in PromQL: name{label="value", other!="x"}.',
      cause,
    })
  }
  const shape = SHAPE.exec(text.trim()) ?? refuse('not name{label="value"}')
  const name = shape[1]!
  let rest = shape[2] ?? ''
  const checks: ((labels: Series['labels']) => boolean)[] = []
  while (rest.trim() !== '') {
    const match = MATCHER.exec(rest) ?? refuse(`cannot read ${quote(rest)}`)
    const [whole, label = '', operator = '', raw = ''] = match
    const value = raw.replaceAll(/\\(["\\])/g, '$1')
    checks.push(checkOf(label, operator, value, refuse))
    rest = rest.slice(whole.length)
  }
  return {
    text,
    name,
    matches: (series) => series.name === name && checks.every((check) => check(series.labels)),
  }
}

function checkOf(
  label: string,
  operator: string,
  value: string,
  refuse: (why: string, cause: unknown) => never,
): (labels: Series['labels']) => boolean {
  if (operator === '=') return (labels) => (labels[label] ?? '') === value
  if (operator === '!=') return (labels) => (labels[label] ?? '') !== value
  let pattern: RegExp
  try {
    pattern = new RegExp(`^(?:${value})$`, 'u')
  } catch (error) {
    return refuse(`${quote(value)} is not a regular expression`, error)
  }
  const wanted = operator === '=~'
  return (labels) => pattern.test(labels[label] ?? '') === wanted
}
