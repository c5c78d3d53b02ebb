// A strict, independent reader of the text exposition format 0.0.4: whatever it cannot account for throws.

export interface ReadSample {
  readonly name: string
  readonly labels: Readonly<Record<string, string>>
  readonly value: number
}

export interface ReadFamily {
  readonly name: string
  readonly type: string
  readonly help: string
  readonly samples: ReadSample[]
}

const SUFFIXES: Readonly<Record<string, readonly string[]>> = {
  counter: [''],
  gauge: [''],
  histogram: ['_bucket', '_sum', '_count'],
  summary: [''],
}

function readLabels(text: string): Record<string, string> {
  const labels: Record<string, string> = {}
  let rest = text
  while (rest !== '') {
    const match = /^([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(,(?=.)|$)/su.exec(rest)
    if (match === null) throw new Error(`labels: ${text}`)
    const [whole, name = '', raw = ''] = match
    if (name in labels) throw new Error(`label twice: ${text}`)
    labels[name] = raw.replaceAll(/\\(.)/g, (_, c: string) => (c === 'n' ? '\n' : c))
    rest = rest.slice(whole.length)
  }
  return labels
}

function readValue(text: string): number {
  if (text === '+Inf') return Infinity
  if (text === '-Inf') return -Infinity
  if (!/^-?\d+(\.\d+)?(e[+-]\d+)?$/.test(text)) throw new Error(`value: ${text}`)
  return Number(text)
}

export function readExposition(text: string): Map<string, ReadFamily> {
  if (!text.endsWith('\n')) throw new Error('the last line must end')
  const families = new Map<string, ReadFamily>()
  const seen = new Set<string>()
  let help: { name: string; text: string } | undefined
  let current: ReadFamily | undefined
  for (const line of text.slice(0, -1).split('\n')) {
    const helpLine = /^# HELP ([a-z_:][a-z0-9_:]*) (.*)$/.exec(line)
    const typeLine = /^# TYPE ([a-z_:][a-z0-9_:]*) (counter|gauge|histogram|summary)$/.exec(line)
    if (helpLine !== null) {
      help = { name: helpLine[1]!, text: helpLine[2]! }
    } else if (typeLine !== null) {
      const name = typeLine[1]!
      if (help?.name !== name || families.has(name)) throw new Error(`TYPE out of place: ${line}`)
      current = { name, type: typeLine[2]!, help: help.text, samples: [] }
      families.set(name, current)
    } else {
      const match = /^([a-z_:][a-z0-9_:]*)(?:\{(.*)\})? (\S+)$/su.exec(line)
      if (match === null || current === undefined) throw new Error(`sample: ${line}`)
      const [, name = '', labelText = '', value = ''] = match
      const suffix = name.slice(current.name.length)
      if (!name.startsWith(current.name) || !SUFFIXES[current.type]!.includes(suffix)) {
        throw new Error(`sample outside its family: ${line}`)
      }
      const labels = readLabels(labelText)
      // As `promtool check metrics` has it.
      if ('quantile' in labels && current.type !== 'summary') throw new Error(`quantile: ${line}`)
      const identity = name + JSON.stringify(Object.entries(labels).sort())
      if (seen.has(identity)) throw new Error(`series twice: ${line}`)
      seen.add(identity)
      current.samples.push({ name, labels, value: readValue(value) })
    }
  }
  for (const family of families.values()) if (family.type === 'histogram') checkHistogram(family)
  return families
}

function ascending(list: readonly number[]): boolean {
  return list.every((value, i) => i === 0 || value >= list[i - 1]!)
}

function checkHistogram(family: ReadFamily): void {
  const groups = new Map<string, ReadSample[]>()
  for (const sample of family.samples) {
    const { le: _, ...rest } = sample.labels
    const key = JSON.stringify(rest)
    groups.set(key, [...(groups.get(key) ?? []), sample])
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name.endsWith('_bucket'))
    const bounds = buckets.map((sample) => readValue(sample.labels['le']!))
    const count = group.find((sample) => sample.name.endsWith('_count'))?.value
    if (bounds.at(-1) !== Infinity || !ascending(bounds) || new Set(bounds).size < bounds.length) {
      throw new Error(`bounds of ${family.name}`)
    }
    if (!ascending(buckets.map((b) => b.value)) || buckets.at(-1)?.value !== count) {
      throw new Error(`buckets of ${family.name}`)
    }
  }
}

/** The value of the one series with exactly these labels; 0 when absent. */
export function valueOf(
  families: Map<string, ReadFamily>,
  name: string,
  labels: Readonly<Record<string, string>>,
): number {
  const wanted = JSON.stringify(Object.entries(labels).sort())
  for (const family of families.values()) {
    for (const sample of family.samples) {
      if (sample.name !== name) continue
      if (JSON.stringify(Object.entries(sample.labels).sort()) === wanted) return sample.value
    }
  }
  return 0
}
