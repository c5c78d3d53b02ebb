import { quote, SwitchbackError } from '../errors.ts'
import { gauge } from './families.ts'
import type { Family, Labels } from './families.ts'

interface Registered {
  readonly labels: Labels
  readonly read: () => number
}

const NAME = /^switchback_[a-z][a-z0-9_]*$/
const LABEL = /^[a-z][a-z0-9_]*$/

/** Values that others own and that are asked for when somebody looks. */
export class Gauges {
  readonly #families = new Map<string, { help: string; gauges: Map<string, Registered> }>()

  /** @returns a function that takes the gauge away again */
  register(name: string, help: string, labels: Labels, read: () => number): () => void {
    const wrong = NAME.test(name) ? Object.keys(labels).find((label) => !LABEL.test(label)) : name
    if (wrong !== undefined) {
      throw new SwitchbackError('SB_METRIC_NAME_INVALID', `Metric or label name ${quote(wrong)}`, {
        hint: 'Metric names match switchback_[a-z0-9_]+, label names [a-z][a-z0-9_]*.',
      })
    }
    const family = this.#families.get(name) ?? { help, gauges: new Map<string, Registered>() }
    this.#families.set(name, family)
    const id = JSON.stringify(Object.entries(labels).sort())
    const registered = { labels, read }
    family.gauges.set(id, registered)
    return () => {
      if (family.gauges.get(id) === registered) family.gauges.delete(id)
    }
  }

  /** A gauge that throws is left out: the metrics of all others matter more. */
  families(): Family[] {
    return Array.from(this.#families, ([name, { help, gauges }]) =>
      gauge(
        name,
        help,
        Array.from(gauges.values(), ({ labels, read }) => ({ labels, value: safely(read) })).filter(
          ({ value }) => !Number.isNaN(value),
        ),
      ),
    )
  }
}

function safely(read: () => number): number {
  try {
    return Number(read())
  } catch {
    return Number.NaN
  }
}
