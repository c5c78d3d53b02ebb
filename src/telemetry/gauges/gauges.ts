import { quote, SwitchbackError } from '../../errors.ts'
import { gauge } from '../output/families.ts'
import type { Family, Labels } from '../output/families.ts'

/** One value of a metric, with labels that may differ at the next read. */
export interface LabelledValue {
  readonly labels: Labels
  readonly value: number
}

type Read = () => readonly LabelledValue[]

const NAME = /^switchback_[a-z][a-z0-9_]*$/
const LABEL = /^[a-z][a-z0-9_]*$/

/** Values that are owned elsewhere and read on demand. */
export class Gauges {
  readonly #families = new Map<string, { help: string; reads: Set<Read> }>()

  /** @returns a function that removes the gauge */
  register(name: string, help: string, labels: Labels, read: () => number): () => void {
    const wrong = Object.keys(labels).find((label) => !LABEL.test(label))
    if (wrong !== undefined) throw badName(wrong)
    return this.registerAll(name, help, () => [{ labels, value: read() }])
  }

  /** The same for values whose labels are known only when they are read. */
  registerAll(name: string, help: string, read: Read): () => void {
    if (!NAME.test(name)) throw badName(name)
    const family = this.#families.get(name) ?? { help, reads: new Set<Read>() }
    this.#families.set(name, family)
    // A wrapper, so that registering one function twice makes two gauges.
    const own: Read = () => read()
    family.reads.add(own)
    return () => {
      family.reads.delete(own)
    }
  }

  /** A gauge that throws is left out: the metrics of all others matter more. */
  families(): Family[] {
    return Array.from(this.#families, ([name, { help, reads }]) => {
      // Two samples with the same labels would make the whole text invalid: the later one counts.
      const samples = new Map<string, LabelledValue>()
      for (const read of reads) {
        for (const { labels, value } of safely(read)) {
          if (Number.isNaN(Number(value))) continue
          samples.set(JSON.stringify(Object.entries(labels).sort()), {
            labels,
            value: Number(value),
          })
        }
      }
      return gauge(name, help, [...samples.values()])
    })
  }
}

function badName(name: string): SwitchbackError {
  return new SwitchbackError('SB_METRIC_NAME_INVALID', `Metric or label name ${quote(name)}`, {
    hint: 'Metric names match switchback_[a-z0-9_]+, label names [a-z][a-z0-9_]*.',
  })
}

function safely(read: Read): readonly LabelledValue[] {
  try {
    return read().filter(({ labels }) => Object.keys(labels).every((label) => LABEL.test(label)))
  } catch {
    return []
  }
}
