import { explore, type Found, fresh, type Step } from './search.ts'

/*
 * The protocol of one machine for one key: the files (F, the old side) with the machine's ledger, and a Redis
 * (R, the new side). Each operation picks its side freely, so that every split, flip and rollback is in it.
 * Time is no number here: whatever may be late may be as late as it likes, unless a rule forbids it.
 */

/** The protocol's rules. Each can be left out, to see what it is for. */
export interface Rules {
  /** A repayment leaves a tombstone that names no successor. */
  readonly repaymentNamesNobody: boolean
  /** A fill lands only over the token that the miss saw. */
  readonly fillIsConditional: boolean
  /** The script of a fill compares the era in which the miss was seen. */
  readonly fillNamesEra: boolean
  /** A store that lost its data, or whose data were replaced, begins another era before it serves. */
  readonly lossBeginsEra: boolean
  /** A cell counts only if its era is the store's. */
  readonly cellsHaveEra: boolean
  /**
   * Before its acknowledgement a writer looks whether the machine has heard of another era of R since it began;
   * then R owes what it took. (A value moves into an era only when its reader has heard of it, and so the machine:
   * whoever moved an old value before the other side was told is heard of by then.)
   */
  readonly writersLookAgain: boolean
  /** A move goes over nothing, or over a tombstone that names the value. */
  readonly movesOnlyOverNothing: boolean
  /** Who joins a load takes its value only if its fill landed. */
  readonly joinersNeedLandedFill: boolean
  /** A fill slower than half of a tombstone's life is not stored. */
  readonly slowFillsRefused: boolean
  /** A write goes to its own side first, and then tells the other. */
  readonly ownSideFirst: boolean
  /** The other side is told at all. */
  readonly otherSideTold: boolean
  /** What could not be told is in the ledger before the acknowledgement. */
  readonly debtBeforeAck: boolean
  /** Every process asks the ledger, not only the one that wrote to it. */
  readonly ledgerIsShared: boolean
  /** The ledger is asked before the read, not after it. */
  readonly trustBeforeRead: boolean
  /** A move asks the ledger about the side that it takes the value from. */
  readonly movesAskTrust: boolean
  /** A debt that was noted again is not settled by who repaid the older one. */
  readonly debtsHaveGenerations: boolean
  /** A debt is repaid only when no unanswered write can land any more. */
  readonly repaidAfterDeadline: boolean
  /** A write that comes after its deadline refuses itself. */
  readonly lateWritesRefused: boolean
  /** So does a late tombstone that names a successor, which an unnamed one need not. */
  readonly lateNamesRefused: boolean
  /** `clear` fences the files before it begins an era on R, into which a value of theirs could move. */
  readonly clearFencesFirst: boolean
  /** `clear` begins an era on R, instead of only deleting. */
  readonly clearBeginsEra: boolean
  /** `clear` leaves a floor in the files, instead of only deleting. */
  readonly clearLeavesFloor: boolean
  /** The mirror's copy goes only over the mirror's own tombstone. */
  readonly mirrorCompares: boolean
  /** Between its two legs the mirror looks whether its own value still stands. */
  readonly mirrorLooksAgain: boolean
  /** A process that retires the old side still tells it. */
  readonly retireStillTells: boolean
}

export const ALL_RULES: Rules = {
  repaymentNamesNobody: true,
  fillIsConditional: true,
  fillNamesEra: true,
  lossBeginsEra: true,
  cellsHaveEra: true,
  writersLookAgain: true,
  movesOnlyOverNothing: true,
  joinersNeedLandedFill: true,
  slowFillsRefused: true,
  ownSideFirst: true,
  otherSideTold: true,
  debtBeforeAck: true,
  ledgerIsShared: true,
  trustBeforeRead: true,
  movesAskTrust: true,
  debtsHaveGenerations: true,
  repaidAfterDeadline: true,
  lateWritesRefused: true,
  lateNamesRefused: true,
  clearFencesFirst: true,
  clearBeginsEra: true,
  clearLeavesFloor: true,
  mirrorCompares: true,
  mirrorLooksAgain: true,
  retireStillTells: true,
}

type Place = 0 | 1
export const FILES: Place = 0
export const REDIS: Place = 1
const NAMES = ['F', 'R'] as const
const other = (place: Place): Place => (1 - place) as Place

/** A value with version, token, era; or a tombstone with token, the token that it names, era. */
export type Cell = null | ['V', number, string, number] | ['T', string, string, number]

export type Operation = 'read' | 'set' | 'delete' | 'clear' | 'mirror'

export interface Client {
  readonly process: number
  readonly does: readonly Operation[]
  /** On which side each operation is; not given: on either. */
  readonly sides?: readonly (Place | undefined)[]
  /** The process retires the old side: it reads R only, and tells F. */
  readonly retire?: boolean
}

export interface Setting {
  readonly clients: readonly Client[]
  /** Redis does not answer: the command is lost, or lands later. */
  readonly timeouts?: number
  /** A process does without Redis for one step: its breaker is open, or it does not know the era yet. */
  readonly outs?: number
  /** A process dies. */
  readonly crashes?: number
  /** Redis is emptied under its connections (FLUSHALL). */
  readonly flushes?: number
  /** Redis restarts with what it held in the beginning. */
  readonly snapshots?: number
  /** A tombstone's life ends, also while a load is under way. */
  readonly expiries?: number
  /** In the beginning: what the files and Redis hold, and whether R has an invalidation pending. */
  readonly files?: Cell
  readonly redis?: Cell
  readonly pending?: boolean
  /** Writes may cross: then it is not asked who is older, but whether the sides agree in the end. */
  readonly crossing?: boolean
}

interface Running {
  /** The next operation, and where it stands. */
  i: number
  at: string
  X?: Place
  /** The side that the operation was meant for. */
  home?: Place
  v?: number
  floor?: number
  token?: string
  era?: number
  /** Cell moved or loaded. */
  successor?: string
  legs?: [number, number]
  /** The era of R that the machine had heard of when the write began. */
  heard?: number
  tomb?: string
  loading?: boolean
  slow?: boolean
  joined?: number
  asked?: boolean
  op?: Operation
}

interface State {
  O: number
  floor: number
  cells: [Cell, Cell]
  /** Era of each store; odd: lost, the first script begins another. */
  eras: [number, number]
  /** The era of R that the machine has heard of, whichever of its processes did. */
  heard: number
  /** Pending invalidations: generation, or null. */
  owed: [string | null, string | null]
  /** Who noted the debt, for a ledger that is not shared. */
  by: [number, number]
  /** Commands that Redis has not seen yet. */
  late: [command: string[], process: number][]
  repaying: (string | null)[][]
  dead: boolean[]
  clients: Running[]
  /** Who has the turn to write: the origin's order is the order of writes. */
  writer: number
  left: {
    outs: number
    timeouts: number
    crashes: number
    flushes: number
    snapshots: number
    expiries: number
  }
}

export function check(rules: Partial<Rules>, setting: Setting, maxStates: number): Found {
  const model = new Model({ ...ALL_RULES, ...rules }, setting)
  return explore(model.initial(), (state) => model.steps(state), maxStates)
}

const V1: Cell = ['V', 1, 't0', 0]

export class Model {
  readonly #rules: Rules
  readonly #setting: Setting
  readonly #processes: number

  constructor(rules: Rules, setting: Setting) {
    this.#rules = rules
    this.#setting = setting
    this.#processes = 1 + Math.max(...setting.clients.map(({ process }) => process))
  }

  initial(): State {
    const {
      clients,
      files = V1,
      redis = null,
      pending = false,
      crossing: _,
      ...given
    } = this.#setting
    return {
      O: 1,
      floor: 0,
      cells: [files, redis],
      eras: [0, 0],
      heard: 0,
      owed: [null, pending ? 't9' : null],
      by: [-1, -1],
      late: [],
      repaying: Array.from({ length: this.#processes }, () => [null, null]),
      dead: Array.from({ length: this.#processes }, () => false),
      clients: clients.map(() => ({ i: 0, at: 'idle' })),
      writer: -1,
      left: {
        outs: given.outs ?? 0,
        timeouts: given.timeouts ?? 0,
        crashes: given.crashes ?? 0,
        flushes: given.flushes ?? 0,
        snapshots: given.snapshots ?? 0,
        expiries: given.expiries ?? 0,
      },
    }
  }

  steps(state: State): Step<State>[] {
    const found: Step<State>[] = []
    const text = JSON.stringify(state)
    const add = (label: string, change: (s: State) => string | undefined | void): void => {
      const s = JSON.parse(text) as State
      const wrong = change(s) ?? this.#disagreement(s)
      found.push({ label, state: s, wrong })
    }
    state.clients.forEach((_, i) => this.#client(state, i, add))
    for (let p = 0; p < this.#processes; p += 1) if (!state.dead[p]) this.#repay(state, p, add)
    this.#world(state, add)
    return found
  }

  /** Both sides alive with different values, and nobody about to change that. */
  #disagreement(s: State): string | undefined {
    if (this.#setting.crossing !== true || s.late.length > 0) return undefined
    if (s.clients.some(({ at }) => at !== 'idle') || s.owed.some((one) => one !== null))
      return undefined
    const [files, redis] = s.cells
    if (!this.#live(s, FILES) || !this.#live(s, REDIS) || files![1] === redis![1]) return undefined
    return `FOR GOOD: F says v${files![1]}, R says v${redis![1]}`
  }

  /* ---- stores */

  /** A script on a store that lost its era begins another one. */
  #settle(s: State, place: Place): void {
    if (s.eras[place] % 2 === 1) s.eras[place] += 1
  }

  /** Nobody uses R before the machine has heard of its era. */
  #hear(s: State, place: Place): void {
    this.#settle(s, place)
    if (place === REDIS) s.heard = s.eras[REDIS]
  }

  #apply(s: State, place: Place, command: readonly string[]): boolean {
    const [kind, a, token, expect, era] = command as [string, string, string, string?, string?]
    this.#settle(s, place)
    const stamp = s.eras[place]
    if (kind === 'T') {
      s.cells[place] = ['T', token, a, stamp]
      return true
    }
    if (kind === 'fill') {
      if (this.#rules.fillIsConditional && tokenOf(s.cells[place]) !== expect) return false
      if (this.#rules.fillNamesEra && place === REDIS && String(s.eras[place]) !== era) return false
    }
    if (kind === 'copy' && this.#rules.mirrorCompares && tokenOf(s.cells[place]) !== expect)
      return false
    s.cells[place] = ['V', Number(a), token, stamp]
    return true
  }

  /** Whether the command refuses itself after its deadline. */
  #isBounded([kind, named]: readonly string[]): boolean {
    if (kind === 'T') return named !== '' && this.#rules.lateNamesRefused
    return this.#rules.lateWritesRefused
  }

  #live(s: State, place: Place): boolean {
    const cell = s.cells[place]
    if (cell === null || cell[0] !== 'V') return false
    return !this.#rules.cellsHaveEra || cell[3] === s.eras[place]
  }

  #owes(s: State, p: number, place: Place): boolean {
    if (s.owed[place] === null) return false
    return this.#rules.ledgerIsShared || s.by[place] === p || s.by[place] === -1
  }

  #owe(s: State, p: number, place: Place): void {
    if (!this.#rules.debtBeforeAck) return
    s.owed[place] = fresh(s)
    s.by[place] = p
  }

  /**
   * A command that changes a store. The files answer; Redis may not: then the command was lost, or lands
   * some time later.
   */
  #send(
    state: State,
    p: number,
    place: Place,
    label: string,
    command: (s: State) => string[],
    then: (s: State, landed: boolean) => string | undefined | void,
    failed: (s: State) => string | undefined | void,
    add: Add,
  ): void {
    add(label, (s) => {
      const made = command(s)
      this.#hear(s, place)
      return then(s, this.#apply(s, place, made))
    })
    if (place === FILES) return
    if (state.left.outs > 0) {
      add(`p${p}: does without R (instead of: ${label})`, (s) => {
        s.left.outs -= 1
        return failed(s)
      })
    }
    if (state.left.timeouts === 0) return
    add(`${label}: no answer, and it was lost`, (s) => {
      s.left.timeouts -= 1
      return failed(s)
    })
    add(`${label}: no answer, it may land later`, (s) => {
      s.left.timeouts -= 1
      s.late.push([command(s), p])
      return failed(s)
    })
  }

  /* ---- operations */

  #client(state: State, ci: number, add: Add): void {
    const plan = this.#setting.clients[ci]!
    const p = plan.process
    if (state.dead[p]) return
    const me = state.clients[ci]!
    const who = `p${p}`
    const mine = (s: State): Running => s.clients[ci]!
    const done = (s: State): void => {
      s.clients[ci] = { i: me.i + 1, at: 'idle' }
    }
    if (me.at === 'idle') {
      const op = plan.does[me.i]
      if (op === undefined) return
      const side = plan.retire === true ? REDIS : plan.sides?.[me.i]
      for (const X of side === undefined ? ([FILES, REDIS] as const) : [side]) {
        if (op === 'read') {
          add(`${who}: a read on ${NAMES[X]} starts`, (s) => {
            s.clients[ci] = { i: me.i, at: 'ask', X, home: X, floor: s.floor }
          })
        } else if (state.writer === -1 || this.#setting.crossing === true) {
          add(`${who}: the origin is at v${state.O + 1}; ${op} on ${NAMES[X]} starts`, (s) => {
            s.O += 1
            s.writer = ci
            const at = op === 'delete' ? 'legs' : op === 'clear' ? 'clear' : 'own'
            s.clients[ci] = { i: me.i, at, op, X, home: X, v: s.O, heard: s.heard }
            if (op === 'delete') s.clients[ci]!.legs = [0, 0]
          })
        }
      }
      return
    }
    const X = me.X!
    if (
      ['ask', 'read', 'trusted?', 'other', 'other read', 'load', 'joined', 'fill'].includes(me.at)
    ) {
      this.#reading(state, ci, add)
      return
    }
    const Y = other(X)
    const ack = (s: State): void => {
      const tookPart = me.op === 'delete' || (X === REDIS && me.op !== 'clear')
      if (this.#rules.writersLookAgain && tookPart && s.heard !== me.heard) this.#owe(s, p, REDIS)
      s.floor = Math.max(s.floor, me.v!)
      s.writer = -1
      if (me.op === 'mirror' && mine(s).token !== undefined && mine(s).tomb !== undefined) {
        const { token, tomb, era } = mine(s)
        s.clients[ci] = { i: me.i, at: 'look', X, v: me.v!, token: token!, tomb: tomb!, era: era! }
      } else done(s)
    }
    const tells =
      !(plan.retire === true && !this.#rules.retireStillTells) && this.#rules.otherSideTold
    switch (me.at) {
      case 'own': {
        const first = this.#rules.ownSideFirst ? X : Y
        if (first === Y) {
          this.#send(
            state,
            p,
            Y,
            `${who}: ${NAMES[Y]} := tombstone, before its own side`,
            (s) => ['T', '', fresh(s)],
            (s) => void (mine(s).at = 'own late'),
            (s) => void (mine(s).at = 'own late'),
            add,
          )
          return
        }
        this.#ownLeg(state, ci, add, (s) => (mine(s).at = tells ? 'tell' : 'ack'))
        return
      }
      case 'own late':
        this.#ownLeg(state, ci, add, (s) => (mine(s).at = 'ack'))
        return
      case 'tell':
        this.#send(
          state,
          p,
          Y,
          `${who}: ${NAMES[Y]} := tombstone that names v${me.v}`,
          (s) => ['T', me.token!, fresh(s)],
          (s) => {
            const C = mine(s)
            C.at = 'ack'
            C.tomb = tokenOf(s.cells[Y])
            C.era = s.eras[Y]
          },
          (s) => {
            this.#owe(s, p, Y)
            mine(s).at = 'ack'
          },
          add,
        )
        return
      case 'fallback':
        add(`${who}: ${NAMES[Y]} := v${me.v}`, (s) => {
          this.#apply(s, Y, ['V', String(me.v), fresh(s)])
          mine(s).at = 'note'
        })
        return
      case 'note':
        add(`${who}: notes that an invalidation is pending on ${NAMES[X]}`, (s) => {
          this.#owe(s, p, X)
          mine(s).at = 'ack'
        })
        return
      case 'legs': {
        const legs = me.legs!
        for (const place of [FILES, REDIS] as const) {
          if (legs[place] !== 0 || (place !== X && !tells)) continue
          this.#send(
            state,
            p,
            place,
            `${who}: ${NAMES[place]} := tombstone`,
            (s) => ['T', '', fresh(s)],
            (s) => void (mine(s).legs![place] = 1),
            (s) => {
              this.#owe(s, p, place)
              mine(s).legs![place] = 1
            },
            add,
          )
        }
        if (legs[X] === 1 && (legs[Y] === 1 || !tells)) {
          add(`${who}: delete is acknowledged`, (s) => ack(s))
        }
        return
      }
      case 'clear':
        add(`${who}: clear: the files are fenced`, (s) => {
          const cell = s.cells[FILES]
          // Dead, and its token stays.
          if (this.#rules.clearFencesFirst && cell !== null)
            s.cells[FILES] = ['T', tokenOf(cell), '', s.eras[FILES]]
          mine(s).at = 'clear R'
        })
        return
      case 'clear R':
        add(
          `${who}: clear: ${this.#rules.clearBeginsEra ? 'another era on R, and' : ''} R's cells are deleted`,
          (s) => {
            this.#settle(s, REDIS)
            if (this.#rules.clearBeginsEra) s.eras[REDIS] += 2
            this.#hear(s, REDIS)
            s.cells[REDIS] = null
            mine(s).at = 'clear F'
          },
        )
        return
      case 'clear F':
        add(
          `${who}: clear: the files are emptied${this.#rules.clearLeavesFloor ? ', a floor stands for what was there' : ''}`,
          (s) => {
            s.cells[FILES] = this.#rules.clearLeavesFloor
              ? ['T', fresh(s), '', s.eras[FILES]]
              : null
            mine(s).at = 'ack'
          },
        )
        return
      case 'ack':
        add(`${who}: ${me.op} is acknowledged`, (s) => ack(s))
        return
      case 'look':
        add(`${who}: the mirror looks whether its own value still stands on ${NAMES[X]}`, (s) => {
          if (this.#rules.mirrorLooksAgain && tokenOf(s.cells[X]) !== me.token) done(s)
          else mine(s).at = 'copy'
        })
        return
      case 'copy':
        if (this.#owes(state, p, Y))
          add(`${who}: the mirror gives up, an invalidation is pending`, done)
        else {
          this.#send(
            state,
            p,
            Y,
            `${who}: the mirror puts v${me.v} on ${NAMES[Y]}`,
            (s) => ['copy', String(me.v), fresh(s), me.tomb!],
            (s) => done(s),
            (s) => done(s),
            add,
          )
        }
        return
      default:
        throw new Error(`nothing is known of ${me.at}`)
    }
  }

  #ownLeg(state: State, ci: number, add: Add, next: (s: State) => unknown): void {
    const me = state.clients[ci]!
    const p = this.#setting.clients[ci]!.process
    const X = me.X!
    if (this.#owes(state, p, X)) {
      add(`p${p}: an invalidation is pending on ${NAMES[X]}, so it is not used`, (s) => {
        s.clients[ci]!.at = 'fallback'
      })
      return
    }
    this.#send(
      state,
      p,
      X,
      `p${p}: ${NAMES[X]} := v${me.v}`,
      (s) => ['V', String(me.v), fresh(s)],
      (s) => {
        s.clients[ci]!.token = tokenOf(s.cells[X])
        next(s)
      },
      (s) => {
        s.clients[ci]!.at = 'fallback'
      },
      add,
    )
  }

  #reading(state: State, ci: number, add: Add): void {
    const { process: p, retire } = this.#setting.clients[ci]!
    const me = state.clients[ci]!
    const who = `p${p}`
    const X = me.X!
    const Y = other(X)
    const mine = (s: State): Running => s.clients[ci]!
    const returns = (s: State, version: number, how: string): string | undefined => {
      s.clients[ci] = { i: me.i + 1, at: 'idle' }
      // Who joined is told how its load ended.
      if (version >= me.floor! || this.#setting.crossing === true) return undefined
      return `STALE: the read returns v${version} (${how}), v${me.floor} was acknowledged before it began`
    }
    const toOther = (s: State): void => {
      const C = mine(s)
      if (X === me.home && retire !== true) {
        C.X = Y
        C.at = 'ask'
        delete C.asked
      } else {
        // Neither side can be trusted with the key: a load that is not stored, for itself alone.
        C.at = 'load'
        delete C.token
      }
    }
    const ask = (s: State, then: (s: State) => void): void => {
      if (this.#owes(s, p, X)) toOther(s)
      else then(s)
    }
    switch (me.at) {
      case 'ask':
        if (!this.#rules.trustBeforeRead && me.asked !== true) {
          this.#read(state, ci, add, toOther, returns, true)
          return
        }
        if (X === REDIS && state.left.outs > 0) {
          add(`${who}: does without R (instead of: a read)`, (s) => {
            s.left.outs -= 1
            toOther(s)
          })
        }
        add(
          `${who}: asks the ledger about ${NAMES[X]}: ${this.#owes(state, p, X) ? 'pending' : 'clear'}`,
          (s) => ask(s, (t) => void (mine(t).at = 'read')),
        )
        return
      case 'read':
        this.#read(state, ci, add, toOther, returns, false)
        return
      case 'trusted?':
        add(`${who}: asks the ledger about ${NAMES[X]} after the read`, (s) => {
          if (!this.#owes(s, p, X)) return returns(s, me.v!, `from ${NAMES[X]}`)
          toOther(s)
          return undefined
        })
        return
      case 'other':
        if (Y === REDIS && state.left.outs > 0) {
          add(`${who}: does without R (instead of: a look for what could be moved)`, (s) => {
            s.left.outs -= 1
            mine(s).at = 'load'
            delete mine(s).successor
          })
        }
        add(`${who}: asks the ledger about ${NAMES[Y]}`, (s) => {
          mine(s).at = this.#rules.movesAskTrust && this.#owes(s, p, Y) ? 'load' : 'other read'
        })
        return
      case 'other read':
        add(`${who}: reads ${NAMES[Y]} = ${show(state.cells[Y])}, to move it`, (s) => {
          this.#hear(s, Y)
          const C = mine(s)
          const cell = s.cells[Y]
          const fits =
            me.successor === '*' || (cell !== null && cell[0] === 'V' && cell[2] === me.successor)
          if (this.#live(s, Y) && fits) {
            C.at = 'fill'
            C.v = cell![1] as number
          } else C.at = 'load'
          delete C.successor
        })
        return
      case 'load': {
        const leaders = state.clients.flatMap((C, i) => {
          const same = i !== ci && this.#setting.clients[i]!.process === p && C.loading === true
          return same && me.token !== undefined && C.X === X && C.token === me.token ? [i] : []
        })
        for (const leader of leaders) {
          add(`${who}: joins the load of v${state.clients[leader]!.v} that is under way`, (s) => {
            if (!this.#rules.joinersNeedLandedFill)
              return returns(s, s.clients[leader]!.v!, 'joined')
            mine(s).at = 'joined'
            mine(s).joined = leader
            return undefined
          })
        }
        add(`${who}: loads v${state.O} from the origin`, (s) => {
          if (me.token === undefined) return returns(s, s.O, 'loaded')
          const C = mine(s)
          C.v = s.O
          C.at = 'fill'
          C.loading = true
          return undefined
        })
        return
      }
      case 'joined':
        return
      case 'fill': {
        const end = (s: State, landed: boolean): string | undefined => {
          s.clients.forEach((C, i) => {
            if (C.joined !== ci) return
            delete C.joined
            if (landed) {
              const { process } = this.#setting.clients[i]!
              const stale = C.floor! > me.v!
              if (stale) s.clients[i]!.v = -1
              else s.clients[i] = { i: C.i + 1, at: 'idle' }
              void process
            } else Object.assign(C, { at: 'ask', X: C.home })
          })
          if (s.clients.some((C) => C.v === -1)) return `STALE: who joined returns v${me.v}`
          return returns(s, me.v!, 'loaded or moved')
        }
        if ((me.slow === true && this.#rules.slowFillsRefused) || this.#owes(state, p, X)) {
          add(`${who}: does not fill ${NAMES[X]} with v${me.v}`, (s) => end(s, false))
          return
        }
        this.#send(
          state,
          p,
          X,
          `${who}: fills ${NAMES[X]} with v${me.v}`,
          (s) => ['fill', String(me.v), fresh(s), me.token!, String(me.era)],
          (s, landed) => end(s, landed),
          (s) => end(s, false),
          add,
        )
        return
      }
      default:
        throw new Error(`nothing is known of ${me.at}`)
    }
  }

  #read(
    state: State,
    ci: number,
    add: Add,
    toOther: (s: State) => void,
    returns: (s: State, version: number, how: string) => string | undefined,
    unasked: boolean,
  ): void {
    const { process: p, retire } = this.#setting.clients[ci]!
    const me = state.clients[ci]!
    const X = me.X!
    add(`p${p}: reads ${NAMES[X]} = ${show(state.cells[X])}`, (s) => {
      this.#hear(s, X)
      const C = s.clients[ci]!
      const cell = s.cells[X]
      if (this.#live(s, X)) {
        if (!unasked) return returns(s, cell![1] as number, `from ${NAMES[X]}`)
        C.at = 'trusted?'
        C.v = cell![1] as number
        return undefined
      }
      C.token = tokenOf(cell)
      C.era = s.eras[X]
      C.asked = true
      // Only on its own side, and only over nothing or over a tombstone that names the value.
      const mayMove = X === me.home && retire !== true
      if (cell !== null && cell[0] === 'T' && this.#rules.movesOnlyOverNothing) {
        C.successor = cell[2]
      } else C.successor = '*'
      C.at = mayMove && C.successor !== '' ? 'other' : 'load'
      if (C.at === 'load') delete C.successor
      return undefined
    })
    if (X === REDIS && state.left.timeouts > 0) {
      add(`p${p}: the read of R is not answered`, (s) => {
        s.left.timeouts -= 1
        toOther(s)
      })
    }
  }

  /* ---- repayment, and what happens to the machine */

  #repay(state: State, p: number, add: Add): void {
    for (const place of [FILES, REDIS] as const) {
      const generation = state.owed[place]
      const under = state.repaying[p]![place]
      if (under !== null && under !== undefined && !under.startsWith('named ')) {
        add(`p${p}: settles the invalidation that was pending on ${NAMES[place]}`, (s) => {
          s.repaying[p]![place] = null
          if (s.owed[place] !== null && (under === 'any' || s.owed[place] === under))
            s.owed[place] = null
        })
        continue
      }
      if (generation === null) continue
      const unanswered = state.late.some(([command]) => this.#isBounded(command))
      if (place === REDIS && unanswered && this.#rules.repaidAfterDeadline) continue
      const settles = (s: State): void => {
        s.repaying[p]![place] = this.#rules.debtsHaveGenerations ? s.owed[place] : 'any'
      }
      if (this.#rules.repaymentNamesNobody) {
        add(`p${p}: repays: ${NAMES[place]} := tombstone`, (s) => {
          settles(s)
          this.#hear(s, place)
          this.#apply(s, place, ['T', '', fresh(s)])
        })
      } else if (under === null) {
        const Y = other(place)
        add(`p${p}: is about to repay ${NAMES[place]}, and looks at ${NAMES[Y]}`, (s) => {
          const cell = s.cells[Y]
          s.repaying[p]![place] = `named ${cell !== null && cell[0] === 'V' ? cell[2] : ''}`
        })
      } else {
        add(
          `p${p}: repays: ${NAMES[place]} := tombstone that names what ${NAMES[other(place)]} showed`,
          (s) => {
            const named = s.repaying[p]![place]!.slice('named '.length)
            settles(s)
            this.#hear(s, place)
            this.#apply(s, place, ['T', named, fresh(s)])
          },
        )
      }
    }
  }

  #world(state: State, add: Add): void {
    const { left } = state
    state.late.forEach(([command, p], i) => {
      add(`LATE: R applies p${p}'s ${command[0] === 'T' ? 'tombstone' : `v${command[1]}`}`, (s) => {
        s.late.splice(i, 1)
        this.#apply(s, REDIS, command)
      })
      if (this.#isBounded(command)) {
        add(`the deadline of p${p}'s late command passes`, (s) => {
          s.late.splice(i, 1)
        })
      }
    })
    if (left.flushes > 0) {
      add('R is emptied (FLUSHALL)', (s) => {
        s.left.flushes -= 1
        s.cells[REDIS] = null
        if (this.#rules.lossBeginsEra) s.eras[REDIS] |= 1
      })
    }
    if (left.snapshots > 0) {
      add('R restarts with what it held in the beginning', (s) => {
        s.left.snapshots -= 1
        s.cells[REDIS] = this.#setting.redis ?? null
        // Its connections, and what was on them, are gone.
        s.late = []
        if (this.#rules.lossBeginsEra) s.eras[REDIS] = Math.max(s.eras[REDIS] | 1, 1)
      })
    }
    if (left.expiries > 0) {
      for (const place of [FILES, REDIS] as const) {
        const cell = state.cells[place]
        if (cell === null || cell[0] !== 'T') continue
        add(`${NAMES[place]}'s tombstone has lived its life`, (s) => {
          s.left.expiries -= 1
          s.cells[place] = null
          for (const C of s.clients) if (C.at === 'fill') C.slow = true
        })
      }
    }
    if (left.crashes > 0) {
      for (let p = 0; p < this.#processes; p += 1) {
        if (state.dead[p] === true) continue
        add(`p${p} is killed`, (s) => {
          s.left.crashes -= 1
          s.dead[p] = true
          s.repaying[p] = [null, null]
          this.#setting.clients.forEach(({ process }, i) => {
            if (process !== p) return
            s.clients[i] = { i: 99, at: 'dead' }
            if (s.writer === i) s.writer = -1
          })
        })
      }
    }
  }
}

type Add = (label: string, change: (s: State) => string | undefined | void) => void

function tokenOf(cell: Cell): string {
  return cell === null ? '' : cell[0] === 'V' ? cell[2] : cell[1]
}

function show(cell: Cell): string {
  if (cell === null) return 'nothing'
  return cell[0] === 'V'
    ? `v${cell[1]}`
    : `a tombstone${cell[2] === '' ? '' : ' that names a value'}`
}
