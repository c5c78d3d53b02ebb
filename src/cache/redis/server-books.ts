import type { KnownServers } from '../backend.ts'

type Book = ReadonlyMap<string, string>

/** After an identity: met, and what it held before is not distrusted yet. */
const MET = '?'

/**
 * What the machine's ledgers know of the servers, by address. If one cannot be read, it knows none; if
 * it cannot be written, the next process distrusts what it need not.
 */
export class ServerBooks {
  /** With what each of them said when it was given. */
  readonly #books = new Map<KnownServers, Book>()

  /** @returns what it knows */
  add(book: KnownServers): Book {
    const knew = recall(book)
    this.#books.set(book, knew)
    return knew
  }

  delete(book: KnownServers): void {
    this.#books.delete(book)
  }

  clear(): void {
    this.#books.clear()
  }

  /** Whether any knew the servers, and not this one, before this process wrote to it. */
  findStrange(address: string, runId: string | undefined): boolean {
    return [...this.#books.values()].some((knew) => isStranger(knew, address, runId))
  }

  /** Whether any names another server now. */
  nameOther(address: string, runId: string): boolean {
    return [...this.#books.keys()].some((book) => {
      const booked = recall(book).get(address)
      return booked !== undefined && booked !== runId && booked !== runId + MET
    })
  }

  /**
   * Before the fence, so that whoever looks here because of it finds the newcomer; marked, so that
   * whoever begins before the fence stands does not take it for an acquaintance.
   */
  meet(address: string, runId: string): Promise<void> {
    return this.remember(new Map([[address, runId + MET]]))
  }

  async remember(servers: Book): Promise<void> {
    for (const book of this.#books.keys()) {
      try {
        if (!sameEntries(recall(book), servers)) await book.remember(servers)
      } catch {
        // See above.
      }
    }
  }
}

export function isStranger(knew: Book, address: string, runId: string | undefined): boolean {
  return knew.size > 0 && (runId === undefined || knew.get(address) !== runId)
}

function recall(book: KnownServers): Book {
  try {
    return book.recall()
  } catch {
    return new Map()
  }
}

function sameEntries(one: Book, other: Book): boolean {
  return one.size === other.size && [...one].every(([key, value]) => other.get(key) === value)
}
