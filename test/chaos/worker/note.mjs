/** What one process writes down: its log, from which stories are told, and its findings. */
import { closeSync, openSync, readFileSync, readSync, renameSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { now } from './truth.mjs'

const LARGEST_LOG = 2 ** 25

/** Kept in two files, so that hours of load do not fill the disk. */
export class Notes {
  #path
  #file
  #size = 0
  #findings

  constructor({ logs, id }) {
    this.#path = join(logs, `${id}.log`)
    this.#file = openSync(this.#path, 'a')
    this.#findings = openSync(join(logs, `${id}.findings`), 'a')
  }

  /** One line; written before the call returns, since this process may be killed at any moment. */
  log(...fields) {
    const line = `${now()}\t${fields.join('\t')}\n`
    this.#size += writeSync(this.#file, line)
    if (this.#size < LARGEST_LOG) return
    this.#size = 0
    closeSync(this.#file)
    renameSync(this.#path, this.#path.replace(/log$/u, 'old.log'))
    this.#file = openSync(this.#path, 'a')
  }

  /** Something that may break a promise; the parent judges. */
  find(kind, finding) {
    this.log('FOUND', finding.key ?? '', kind)
    writeSync(this.#findings, `${JSON.stringify({ kind, foundAt: now(), ...finding })}\n`)
  }
}

const SAMPLE_MS = 50
const NOTED_STALL_MS = 150

/**
 * How long this process could not run though it wanted to: other processes had the cores, or it was
 * stopped by the parent. That is no fault of what is tested; a synchronous wait for a lock is, so a late
 * timer counts only as far as the system says that the thread was waiting for a core.
 */
export class Stopwatch {
  #starvedMs = 0
  #waited = waited()
  #stops
  #stopped = new Float64Array(1)
  #stoppedBytes = Buffer.from(this.#stopped.buffer)
  #position
  #last = performance.now()

  constructor({ ground, index }, notes) {
    this.#stops = openSync(ground.stops, 'r')
    this.#position = index * 8
    setInterval(() => {
      const late = this.#sample()
      if (late > NOTED_STALL_MS) notes.log('stall', '', Math.round(late))
    }, SAMPLE_MS).unref()
  }

  start() {
    return { at: performance.now(), idle: this.#starvedMs + this.#stopMs() }
  }

  /** Milliseconds since `start` in which this process was able to run. */
  since({ at, idle }) {
    const ms = performance.now() - at
    if (ms < 500) return ms
    this.#sample()
    return Math.max(0, ms - (this.#starvedMs + this.#stopMs() - idle))
  }

  /** By how much the timer is late. */
  #sample() {
    const [at, waitedMs] = [performance.now(), waited()]
    const late = Math.max(0, at - this.#last - SAMPLE_MS)
    this.#starvedMs += Math.min(late, waitedMs - this.#waited)
    this.#last = at
    this.#waited = waitedMs
    return late
  }

  #stopMs() {
    readSync(this.#stops, this.#stoppedBytes, 0, 8, this.#position)
    return this.#stopped[0]
  }
}

/** Milliseconds that the main thread has waited for a core. */
function waited() {
  try {
    return Number(readFileSync('/proc/self/schedstat', 'utf8').split(' ')[1]) / 1e6
  } catch {
    return 0
  }
}
