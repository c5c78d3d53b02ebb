export interface Spoilt {
  readonly what: string
  readonly value: unknown
}

/**
 * A document in every way in which a typo could spoil it: a word too many in each of its objects, and
 * each of its values in another type. A schema that accepts one of them does not look there.
 */
export function* spoilt(document: unknown, at = ''): Generator<Spoilt> {
  if (Array.isArray(document)) {
    yield* spoiltParts(document.entries(), at, (index, value) => document.with(index, value))
    yield { what: `${at} is no list`, value: {} }
  } else if (typeof document === 'object' && document !== null) {
    const entries = Object.entries(document)
    yield* spoiltParts(entries, at, (name, value) => ({ ...document, [name]: value }))
    yield { what: `${at}/unheardOf`, value: { ...document, unheardOf: 1 } }
    yield { what: `${at} is a list`, value: [document] }
  } else {
    yield { what: `${at} is an object`, value: { of: document } }
    // A value that YAML took for something else: a bare `no`, a port in quotes.
    const other = typeof document === 'string' ? document.length : String(document)
    yield { what: `${at} is a ${typeof other}`, value: other }
  }
}

function* spoiltParts<Key>(
  entries: Iterable<[Key, unknown]>,
  at: string,
  put: (key: Key, value: unknown) => unknown,
): Generator<Spoilt> {
  for (const [key, part] of entries) {
    for (const { what, value } of spoilt(part, `${at}/${String(key)}`)) {
      yield { what, value: put(key, value) }
    }
  }
}
