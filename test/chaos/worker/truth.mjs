/**
 * The truth that the caches are held to, outside of them: a file that all processes map by reading and
 * writing 8 bytes at a time (the system's page cache is one for all of them).
 *
 * The origin's version of a key is the machine's monotonic clock, in microseconds. A write or delete
 * takes a version when it begins and publishes it when it was *acknowledged*. A reader looks up the
 * newest version acknowledged before it begins; what it then reads must not have been replaced by it:
 * - a loaded value holds the version at which its loader read the origin;
 * - a value that was set may still be current as long as its own `set` had not been acknowledged when the
 *   other write began (the two overlap, and either may stay), so its acknowledgement is looked up.
 *
 * Each process publishes in a column of its own, so no update is lost. Both acknowledgements are noted
 * after the fact, a moment late: that can hide a stale read, but never invents one.
 */
import { closeSync, fstatSync, openSync, readSync, writeSync } from 'node:fs'

/** Microseconds of the machine's monotonic clock; steps of the wall clock do not touch it. */
export const now = () => Number(process.hrtime.bigint() / 1000n)

export class Truth {
  #rows
  #times
  #columns
  #index
  #row
  #rowBytes
  #one = new Float64Array(1)
  #oneBytes = Buffer.from(this.#one.buffer)
  /** Versions of writes that this process has acknowledged, by key. */
  #own
  /** Of writes that only this process knows of: the newest version, by row. */
  #alone = new Map()
  #acks = new Map()
  #files
  #next

  constructor({ ground, index }) {
    const { truth, times, columns, rows } = ground
    this.#files = ground.acks
    this.#rows = openSync(truth, 'r+')
    this.#times = openSync(times, 'r+')
    this.#columns = columns
    this.#index = index
    this.#row = new Float64Array(columns)
    this.#rowBytes = Buffer.from(this.#row.buffer)
    this.#own = Array.from({ length: rows }, (_, row) => this.#read(row)[index])
    // A set that a former life of this process began has a number already.
    this.#next = Math.ceil(fstatSync(this.#ackFile(index)).size / 8)
  }

  /** The newest version of a row (a key, or all keys of a cache) that was acknowledged to all by now. */
  acknowledged(row) {
    return Math.max(...this.#read(row))
  }

  /** When a version of a row was acknowledged; 0: not known (any more). */
  acknowledgedAt(row, version) {
    const column = this.#read(row).indexOf(version)
    if (column < 0) return 0
    this.#one[0] = 0
    readSync(this.#times, this.#oneBytes, 0, 8, (row * this.#columns + column) * 8)
    return this.#one[0]
  }

  /**
   * The same, as far as this process's own writes are concerned: without a look at the file, and with those that
   * its present switches alone know of.
   */
  acknowledgedHere(row) {
    return Math.max(this.#own[row], this.#alone.get(row) ?? 0)
  }

  /** A write was acknowledged of which only this process knows. */
  keep(row, version) {
    this.#alone.set(row, Math.max(version, this.#alone.get(row) ?? 0))
  }

  get alone() {
    return this.#alone.size > 0
  }

  /** All that only this process knew is known to all by now. */
  told() {
    for (const [row, version] of this.#alone) this.publish(row, version)
    this.#alone.clear()
  }

  /** The one who knew is no more. */
  forget() {
    this.#alone.clear()
  }

  /** Publishes a write, delete or clear that was acknowledged. */
  publish(row, version) {
    if (version <= this.#own[row]) return
    this.#own[row] = version
    this.#write(this.#times, (row * this.#columns + this.#index) * 8, now())
    this.#write(this.#rows, (row * this.#columns + this.#index) * 8, version)
  }

  /** The number of a set that begins; negative times are unacknowledged. */
  beginSet(at) {
    const number = this.#next
    this.#next += 1
    this.#write(this.#ackFile(this.#index), number * 8, -at)
    return number
  }

  endSet(number, at) {
    this.#write(this.#ackFile(this.#index), number * 8, at)
  }

  /** When a set was acknowledged; not above zero: it was not. */
  setEnd(index, number) {
    this.#one[0] = 0
    readSync(this.#ackFile(index), this.#oneBytes, 0, 8, number * 8)
    return this.#one[0]
  }

  close() {
    closeSync(this.#rows)
  }

  #read(row) {
    readSync(this.#rows, this.#rowBytes, 0, this.#rowBytes.length, row * this.#rowBytes.length)
    return this.#row
  }

  #write(file, position, value) {
    this.#one[0] = value
    writeSync(file, this.#oneBytes, 0, 8, position)
  }

  #ackFile(index) {
    let file = this.#acks.get(index)
    if (file === undefined) {
      file = openSync(this.#files[index], 'r+')
      this.#acks.set(index, file)
    }
    return file
  }
}

/** Counts that outlive the process; written now and then, so a kill loses a few. */
export class Counters {
  #file
  #names
  #values
  #bytes
  #position

  constructor({ ground, index }) {
    this.#file = openSync(ground.counters, 'r+')
    this.#names = ground.counterNames
    this.#values = new Float64Array(this.#names.length)
    this.#bytes = Buffer.from(this.#values.buffer)
    this.#position = index * this.#bytes.length
    readSync(this.#file, this.#bytes, 0, this.#bytes.length, this.#position)
  }

  add(name, count = 1) {
    this.#values[this.#names.indexOf(name)] += count
  }

  atLeast(name, value) {
    const i = this.#names.indexOf(name)
    this.#values[i] = Math.max(this.#values[i], value)
  }

  flush() {
    writeSync(this.#file, this.#bytes, 0, this.#bytes.length, this.#position)
  }
}
