import { explore, type Found, fresh, type Step } from './search.ts'

/*
 * The protocol of two stores that all machines share (A, the old side; B, the new side) for one key. There is no
 * file and no ledger of a machine: what A owes stands on the board in B, and the other way round. A store's licence
 * says that somebody read on the other store's board, not long ago, that it owes nothing.
 *
 * Time is no number here. A licence knows how many times the board had turned from clear to indebted when it was
 * given; that "L passes" ends all that are older than a turn, wherever they are kept. Clocks are assumed to run at
 * about the same rate, and nothing else.
 */

/** Each can be left out, to see what it is for. */
export interface PairRules {
  /** A side is used only under a licence, or after the board was asked. */
  readonly licence: boolean
  /** What could not be told is noted on the other store's board. */
  readonly debtsOnBoard: boolean
  /** Who turns the board from clear to indebted waits until earlier licences have ended. */
  readonly whoTurnsWaits: boolean
  /** Who finds it turned waits for what is left of that. */
  readonly whoFindsWaits: boolean
  /** After its wait a writer looks whether the board is still there. */
  readonly looksAfterWait: boolean
  /** A wait begins again when the board was out in between. */
  readonly waitIsUnbroken: boolean
  /** What it looks for is its own debt in the same era, not just an answer. */
  readonly waitLooksForDebt: boolean
  /** A licence ends at a time that was fixed before the board was read, however late it arrives. */
  readonly licenceEndsAbsolutely: boolean
  /** The board is asked before the side is read, not after it. */
  readonly asksBeforeRead: boolean
  /** Without a licence the board is asked at all. */
  readonly asks: boolean
  /** A debt that was noted again is not settled by who repaid the older one. */
  readonly debtsHaveGenerations: boolean
  /** A debt is repaid only when no unanswered write can land any more. */
  readonly repaidAfterDeadline: boolean
  /** A write that reached no store ends only when it cannot land any more. */
  readonly lostWritesEndLate: boolean
  /** A store whose licence has ended vouches for itself only in a new era. */
  readonly soloNeedsEra: boolean
  /** A store vouches for itself only while nobody who reads the board says anything. */
  readonly soloOnlyInSilence: boolean
  /** A value moves only from a side that may be used. */
  readonly movesAskTrust: boolean
  readonly fillIsConditional: boolean
  /** The script of a fill compares the era in which the miss was seen. */
  readonly fillNamesEra: boolean
  /** A store remembers in which era the board was that vouched for it. */
  readonly peerRemembered: boolean
  /** Who reads without a licence hears the store's era with the cell. */
  readonly eraWithCell: boolean
  /** `clear` begins eras, and ends when the licences from before have ended. */
  readonly clearWaits: boolean
  /** Nothing moves over an absent cell of an era that began while a write was between its legs. */
  readonly noMoveIntoYoungEra: boolean
  /** A value moves only while its side has a licence, and is not heard to be in another era than it was read in. */
  readonly movesAskAgain: boolean
  /** `clear` empties the stores when the licences of both have ended: until then old values move to new eras, */
  readonly clearEmptiesLast: boolean
  /** and when what was sent before cannot land any more. */
  readonly clearOutwaitsMoves: boolean
  /** What one process alone knows is pending on both stores: the other one may lose what it took. */
  readonly alonePendingOnBoth: boolean
  /** It is delivered to the store that took the write when the other one has been told. */
  readonly aloneInOrder: boolean
  /** When a board's clock steps, the time that has passed on it counts for nothing. */
  readonly stepRestartsWait: boolean
  /** When a store's clock steps, its licence is over. */
  readonly stepEndsLicence: boolean
}

type RuleName = keyof PairRules

export const PAIR_RULES: Readonly<Record<RuleName, true>> = {
  licence: true,
  debtsOnBoard: true,
  whoTurnsWaits: true,
  whoFindsWaits: true,
  looksAfterWait: true,
  waitIsUnbroken: true,
  waitLooksForDebt: true,
  licenceEndsAbsolutely: true,
  asksBeforeRead: true,
  asks: true,
  debtsHaveGenerations: true,
  repaidAfterDeadline: true,
  lostWritesEndLate: true,
  soloNeedsEra: true,
  soloOnlyInSilence: true,
  movesAskTrust: true,
  fillIsConditional: true,
  fillNamesEra: true,
  peerRemembered: true,
  eraWithCell: true,
  clearWaits: true,
  noMoveIntoYoungEra: true,
  movesAskAgain: true,
  clearEmptiesLast: true,
  clearOutwaitsMoves: true,
  alonePendingOnBoth: true,
  aloneInOrder: true,
  stepRestartsWait: true,
  stepEndsLicence: true,
}

export type PairPlace = 0 | 1
export const A: PairPlace = 0
export const B: PairPlace = 1
const BOTH = [A, B] as const
const NAMES = ['A', 'B'] as const
const other = (place: PairPlace): PairPlace => (1 - place) as PairPlace

/** A value with version, token, era; or a tombstone with token, the token that it names, era. */
export type PairCell = null | ['V', number, string, number] | ['T', string, string, number]
type Command = ['V', number, string] | ['T', string, string] | ['F', number, string, string, number]

export interface PairClient {
  readonly process: number
  readonly does: readonly ('read' | 'set' | 'delete' | 'clear')[]
  /** On which side each operation is; not given: on either. */
  readonly sides?: readonly (PairPlace | undefined)[]
}

export interface PairSetting {
  readonly clients: readonly PairClient[]
  readonly processes?: number
  /** How often: a command is not answered; a link of one process is cut; a store hangs for all; ... */
  readonly timeouts?: number
  readonly cuts?: number
  readonly hangs?: number
  readonly crashes?: number
  readonly expiries?: number
  /** A tick is sent although it tells nothing new, so that it can be late. */
  readonly lateTicks?: number
  /** A store is emptied under its connections; or only its state is evicted, its cells stay. */
  readonly flushes?: number
  readonly flushed?: readonly PairPlace[]
  readonly evictions?: number
  /** A store's clock steps forward or back by more than L. */
  readonly steps?: number
  /** What hangs or is cut off stays so. */
  readonly forGood?: boolean
  /**
   * Never do some processes reach only A, others only B, and nobody both: nothing is promised then ("a split fleet"
   * of docs/guarantees.md).
   */
  readonly unsplit?: boolean
  readonly a?: PairCell
  readonly b?: PairCell
  /** In the beginning B owes the key, which was acknowledged; nobody has a licence for B. */
  readonly owedByB?: boolean
  /** The first process has repaid an earlier debt of B, and is about to settle it. */
  readonly settling?: boolean
  /** The debt's value, at the origin and acknowledged. */
  readonly at?: number
  /**
   * The first process alone knows that B owes the key: A took its v2 and lost it, somebody moved v1 there, and
   * it reaches nobody at the moment. When all were told, v2 counts for everybody; for itself it counts at once.
   */
  readonly alone?: boolean
  /** Processes that neither tick nor repay: that saves states. */
  readonly silent?: readonly number[]
  /** The first client is amid a `clear`: A has another era, of which everybody has heard, and B has not. */
  readonly clearing?: boolean
}

interface Store {
  cell: PairCell
  up: boolean
  /** Odd: lost; the first script begins another. */
  era: number
  /** Counts the boards that it has lost: an era that it begins by itself leaves what is pending there. */
  board: number
  /** The board of the other store that vouched last; -1: none did. */
  peer: number
  /** 0: none; else the board's turns that were seen, plus one; 'own': it vouches for itself. */
  licence: number | 'own'
  /** Its clock has stepped back: the licence outlives its time, until a script notices. */
  stepped: boolean
  /* The board: what the OTHER store owes. */
  indebted: boolean
  turns: number
  /** The turn after which all licences from before it are known to have ended. */
  passed: number
  owed: string | null
}

interface Process {
  up: boolean
  links: [boolean, boolean]
  licence: [Store['licence'], Store['licence']]
  era: [number, number]
  peer: [number, number]
  /** A tick on its way: what the board of the other store said (-1: indebted), and which board that is. */
  tick: [[number, number] | null, [number, number] | null]
  repaid: [string | null, string | null]
  /** What it alone knows to be pending: 0 nothing, 1 it is, 2 when the other store has been told. */
  alone?: [number, number]
  /** The version that it alone has written. */
  knows?: number
}

interface Running {
  i: number
  at: string
  op?: string
  X?: PairPlace
  home?: PairPlace
  v?: number
  floor?: number
  token?: string
  era?: number
  successor?: string
  moves?: boolean
  /** The era that the value was read in. */
  from?: number
  legs?: [number, number]
  eras?: [number, number]
  /** The board on which a debt was noted, which one that was, the turn that the wait is for, whether contact was lost. */
  board?: PairPlace
  boardNoted?: number
  turn?: number
  broken?: boolean
}

interface State {
  O: number
  floor: number
  stores: [Store, Store]
  processes: Process[]
  clients: Running[]
  late: [PairPlace, Command, number][]
  writer: number
  left: Record<Fault, number>
}

const FAULTS = [
  'timeouts',
  'cuts',
  'hangs',
  'crashes',
  'expiries',
  'lateTicks',
  'flushes',
  'evictions',
  'steps',
] as const
type Fault = (typeof FAULTS)[number]

type Wrong = string | undefined | void
type Add = (label: string, change: (s: State) => Wrong) => void

export function checkPair(
  rules: Partial<Record<RuleName, boolean>>,
  setting: PairSetting,
  maxStates: number,
): Found {
  const model = new PairModel({ ...PAIR_RULES, ...rules }, setting)
  return explore(model.initial(), (state) => model.steps(state), maxStates)
}

const NO_STORE: Store = {
  cell: null,
  up: true,
  era: 0,
  board: 0,
  peer: 0,
  licence: 1,
  stepped: false,
  indebted: false,
  turns: 0,
  passed: 0,
  owed: null,
}

class PairModel {
  readonly #rules: PairRules
  readonly #setting: PairSetting
  /** Only they need a licence of their own. */
  readonly #readers: boolean[]

  constructor(rules: PairRules, setting: PairSetting) {
    this.#rules = rules
    this.#setting = setting
    const { clients, processes = 1 + Math.max(...clients.map(({ process }) => process)) } = setting
    this.#readers = Array.from({ length: processes }, (_, p) =>
      clients.some(({ process, does }) => process === p && does.includes('read')),
    )
  }

  initial(): State {
    const { a = null, b = ['V', 1, 't0', 0], owedByB = false, settling } = this.#setting
    const { alone = false, clearing = false, at = alone || clearing ? 2 : 1 } = this.#setting
    const stores: [Store, Store] = [
      { ...NO_STORE, cell: a },
      { ...NO_STORE, cell: b },
    ]
    if (owedByB) {
      Object.assign(stores[A], { indebted: true, turns: 1, passed: 1, owed: 't9' })
      stores[B].licence = 0
    }
    const eraOfA = clearing ? 2 : 0
    if (clearing) Object.assign(stores[A], { era: eraOfA, licence: 0 })
    return {
      O: at,
      floor: at > 1 && !alone && !clearing ? at : 0,
      stores,
      processes: this.#readers.map((reads, p) => ({
        up: true,
        links: [true, true],
        licence: reads ? [clearing ? 0 : 1, owedByB ? 0 : 1] : [0, 0],
        era: [eraOfA, 0],
        peer: [0, 0],
        tick: [null, null],
        repaid: [null, settling === true && p === 0 ? this.#repaidOf('t8') : null],
        ...(alone && p === 0 ? this.#cutOff() : {}),
      })),
      clients: this.#setting.clients.map(({ does: [op] }, i) =>
        clearing && i === 0
          ? { i: 0, at: 'clear B', op: op!, X: A, v: at, eras: [0, 0] }
          : { i: 0, at: 'idle' },
      ),
      late: [],
      writer: clearing ? 0 : -1,
      left: Object.fromEntries(FAULTS.map((fault) => [fault, this.#setting[fault] ?? 0])) as Record<
        Fault,
        number
      >,
    }
  }

  #cutOff(): Partial<Process> {
    const also = this.#rules.alonePendingOnBoth ? (this.#rules.aloneInOrder ? 2 : 1) : 0
    return { links: [false, false], licence: [0, 0], alone: [also, 1], knows: 2 }
  }

  steps(state: State): Step<State>[] {
    const found: Step<State>[] = []
    const text = JSON.stringify(state)
    const add: Add = (label, change) => {
      const s = JSON.parse(text) as State
      const wrong = change(s) ?? undefined
      found.push({ label, state: s, wrong })
    }
    state.clients.forEach((_, i) => this.#client(state, i, add))
    state.processes.forEach((_, p) => {
      if (this.#setting.silent?.includes(p) === true) return
      for (const X of BOTH) this.#ticks(state, p, X, add)
      for (const X of BOTH) this.#repays(state, p, X, add)
      for (const X of BOTH) this.#handsOver(state, p, X, add)
    })
    this.#world(state, add)
    return found
  }

  /* ---- stores */

  #reaches(s: State, p: number, X: PairPlace): boolean {
    return s.processes[p]!.up && s.processes[p]!.links[X] && s.stores[X].up
  }

  #settleEra(s: State, X: PairPlace): void {
    const store = s.stores[X]
    if (store.era % 2 === 0) return
    store.era += 1
    store.licence = 0
    store.peer = -1
  }

  #apply(s: State, X: PairPlace, command: Command): void {
    this.#settleEra(s, X)
    const store = s.stores[X]
    if (command[0] === 'T') store.cell = ['T', command[1], command[2], store.era]
    else if (command[0] === 'V') store.cell = ['V', command[1], command[2], store.era]
    else {
      const [, version, token, expect, era] = command
      if (this.#rules.fillIsConditional && tokenOf(store.cell) !== expect) return
      if (this.#rules.fillNamesEra && store.era !== era) return
      store.cell = ['V', version, token, store.era]
    }
  }

  /** True: this turned the board from clear to indebted. */
  #note(s: State, board: PairPlace): boolean {
    this.#settleEra(s, board)
    const store = s.stores[board]
    store.owed = fresh(s)
    if (store.indebted) return false
    store.indebted = true
    store.turns += 1
    return true
  }

  /** A command that changes X: applied, or not answered and lost, or not answered and late. */
  #send(
    state: State,
    p: number,
    X: PairPlace,
    label: string,
    command: (s: State) => Command,
    then: (s: State) => Wrong,
    failed: (s: State) => Wrong,
    add: Add,
  ): void {
    const late = (s: State): Wrong => {
      s.left.timeouts -= 1
      s.late.push([X, command(s), p])
      return failed(s)
    }
    if (this.#reaches(state, p, X)) {
      add(label, (s) => {
        this.#apply(s, X, command(s))
        return then(s)
      })
      if (state.left.timeouts === 0) return
      add(`${label}: no answer, and it was lost`, (s) => {
        s.left.timeouts -= 1
        return failed(s)
      })
      add(`${label}: no answer, it may land later`, late)
      return
    }
    add(`${label}: fails`, failed)
    if (state.processes[p]!.links[X] && state.left.timeouts > 0) {
      add(`${label}: no answer (${NAMES[X]} hangs), it may land later`, late)
    }
  }

  /* ---- operations */

  #client(state: State, ci: number, add: Add): void {
    const plan = this.#setting.clients[ci]!
    const p = plan.process
    if (!state.processes[p]!.up) return
    const me = state.clients[ci]!
    if (me.at === 'idle') this.#begin(state, ci, add)
    else if (me.floor === undefined) this.#writing(state, ci, add)
    else this.#reading(state, ci, add)
  }

  #begin(state: State, ci: number, add: Add): void {
    const { process: p, does, sides } = this.#setting.clients[ci]!
    const { i } = state.clients[ci]!
    const op = does[i]
    if (op === undefined) return
    const side = sides?.[i]
    for (const X of side === undefined ? BOTH : [side]) {
      if (op === 'read') {
        add(`p${p}: a read on ${NAMES[X]} starts`, (s) => {
          const floor = Math.max(s.floor, s.processes[p]!.knows ?? 0)
          s.clients[ci] = { i, at: 'trust', X, home: X, floor }
        })
      } else if (state.writer === -1) {
        add(`p${p}: the origin is at v${state.O + 1}; ${op} on ${NAMES[X]} starts`, (s) => {
          s.O += 1
          s.writer = ci
          const at = op === 'delete' ? 'legs' : op === 'clear' ? 'clear' : 'own'
          const eras: [number, number] = [s.stores[A].era, s.stores[B].era]
          s.clients[ci] = { i, at, op, X, v: s.O, eras }
          if (op === 'delete') s.clients[ci]!.legs = [0, 0]
        })
      }
    }
  }

  #writing(state: State, ci: number, add: Add): void {
    const { process: p } = this.#setting.clients[ci]!
    const me = state.clients[ci]!
    const mine = (s: State): Running => s.clients[ci]!
    const X = me.X!
    const Y = other(X)
    const ends = (s: State, acknowledged: boolean): void => {
      if (acknowledged) s.floor = Math.max(s.floor, me.v!)
      s.writer = -1
      s.clients[ci] = { i: me.i + 1, at: 'idle' }
    }
    // Its caller is told, if by a lesser word: what it sent must not land after a later write.
    const givesUp = (s: State): void => {
      if (this.#rules.lostWritesEndLate && this.#mayLand(s, p)) mine(s).at = 'lost'
      else ends(s, false)
    }
    const noted = (s: State, board: PairPlace): void => {
      const turned = this.#note(s, board)
      const C = mine(s)
      const { turns, passed, board: present } = s.stores[board]
      const must = turned ? this.#rules.whoTurnsWaits : this.#rules.whoFindsWaits && passed < turns
      C.at = this.#rules.licence && must ? 'wait' : 'ack'
      C.board = board
      C.turn = turns
      C.boardNoted = present
    }
    switch (me.at) {
      case 'own':
        this.#send(
          state,
          p,
          X,
          `p${p}: ${NAMES[X]} := v${me.v}`,
          (s) => ['V', me.v!, fresh(s)],
          (s) => {
            mine(s).token = tokenOf(s.stores[X].cell)
            mine(s).at = 'tell'
          },
          (s) => void (mine(s).at = 'fallback'),
          add,
        )
        return
      case 'tell':
        this.#send(
          state,
          p,
          Y,
          `p${p}: ${NAMES[Y]} := tombstone that names v${me.v}`,
          (s) => ['T', fresh(s), me.token!],
          (s) => void (mine(s).at = 'ack'),
          (s) => void (mine(s).at = this.#rules.debtsOnBoard ? `note ${X}` : 'ack'),
          add,
        )
        return
      case 'fallback':
        this.#send(
          state,
          p,
          Y,
          `p${p}: ${NAMES[Y]} := v${me.v}`,
          (s) => ['V', me.v!, fresh(s)],
          (s) => void (mine(s).at = this.#rules.debtsOnBoard ? `note ${Y}` : 'ack'),
          givesUp,
          add,
        )
        return
      case 'legs': {
        const legs = me.legs!
        if (legs[A] !== 0 && legs[B] !== 0) {
          add(`p${p}: both legs of the delete are done`, (s) => {
            const C = mine(s)
            const [a, b] = legs
            if (a === 1 && b === 1) C.at = 'ack'
            else if (a === 2 && b === 2) givesUp(s)
            else C.at = this.#rules.debtsOnBoard ? `note ${a === 1 ? A : B}` : 'ack'
          })
          return
        }
        for (const place of BOTH) {
          if (legs[place] !== 0) continue
          this.#send(
            state,
            p,
            place,
            `p${p}: ${NAMES[place]} := tombstone`,
            (s) => ['T', fresh(s), ''],
            (s) => void (mine(s).legs![place] = 1),
            (s) => void (mine(s).legs![place] = 2),
            add,
          )
        }
        return
      }
      case 'note 0':
      case 'note 1': {
        const board = me.at === 'note 0' ? A : B
        const label = `p${p}: notes on ${NAMES[board]} that ${NAMES[other(board)]} owes`
        if (this.#reaches(state, p, board)) add(label, (s) => noted(s, board))
        if (!this.#reaches(state, p, board) || state.left.timeouts > 0) {
          add(`${label}: fails`, (s) => {
            if (this.#reaches(s, p, board)) s.left.timeouts -= 1
            givesUp(s)
          })
        }
        return
      }
      case 'wait': {
        const board = me.board!
        if (me.broken === true) {
          if (this.#reaches(state, p, board)) {
            add(`p${p}: reaches ${NAMES[board]} again, and waits from the beginning`, (s) => {
              delete mine(s).broken
            })
          } else add(`p${p}: has lost ${NAMES[board]}, and gives up`, givesUp)
          return
        }
        add(`p${p}: L passes: licences of ${NAMES[other(board)]} from before have ended`, (s) => {
          this.#endLicences(s, board, me.turn!)
          mine(s).at = this.#rules.looksAfterWait ? 'look' : 'ack'
        })
        return
      }
      case 'look': {
        const board = me.board!
        if (!this.#reaches(state, p, board)) {
          add(`p${p}: does not reach ${NAMES[board]} any more, and gives up`, givesUp)
          return
        }
        add(`p${p}: finds ${NAMES[board]} still there`, (s) => {
          const lost = s.stores[board].board !== me.boardNoted
          mine(s).at = lost && this.#rules.waitLooksForDebt ? `note ${board}` : 'ack'
        })
        return
      }
      case 'lost':
        if (!this.#mayLand(state, p))
          add(`p${p}: tells that nobody was told`, (s) => ends(s, false))
        return
      case 'clear':
      case 'clear B': {
        const place = me.at === 'clear' ? A : B
        if (!this.#reaches(state, p, place)) return
        add(`p${p}: clear: another era on ${NAMES[place]}`, (s) => {
          this.#settleEra(s, place)
          s.stores[place].era += 2
          s.stores[place].licence = 0
          mine(s).at = place === A ? 'clear B' : this.#rules.clearWaits ? 'clear wait' : 'ack'
        })
        return
      }
      case 'clear wait':
        add(`p${p}: L passes: licences of the eras before have ended`, (s) => {
          for (const process of s.processes) {
            for (const place of BOTH) {
              if (process.era[place] !== s.stores[place].era) process.licence[place] = 0
            }
          }
          mine(s).at = this.#rules.clearEmptiesLast ? 'clear cells' : 'ack'
        })
        return
      case 'clear cells':
        // A move that was sent has a deadline.
        if (this.#rules.clearOutwaitsMoves && state.late.some(([, [kind]]) => kind === 'F')) return
        add(`p${p}: clear: what moved meanwhile is deleted`, (s) => {
          for (const place of BOTH)
            if (s.stores[place].cell !== null) this.#apply(s, place, ['T', fresh(s), ''])
          mine(s).at = 'ack'
        })
        return
      case 'ack':
        add(`p${p}: ${me.op} of v${me.v} is acknowledged`, (s) => ends(s, true))
        return
      default:
        throw new Error(`nothing is known of ${me.at}`)
    }
  }

  #mayLand(s: State, p: number): boolean {
    return s.late.some(([, [kind], by]) => by === p && kind === 'V')
  }

  /** All licences for the other store that had seen fewer turns of this board. */
  #endLicences(s: State, board: PairPlace, turn: number): void {
    const X = other(board)
    const store = s.stores[X]
    s.stores[board].passed = Math.max(s.stores[board].passed, turn)
    const isOver = (licence: Store['licence']): boolean =>
      typeof licence === 'number' && licence > 0 && licence <= turn
    const vouched = s.processes.some(
      (_, q) => this.#reaches(s, q, X) && !this.#reaches(s, q, board),
    )
    const soloEnds = store.licence === 'own' && !vouched
    if ((isOver(store.licence) || soloEnds) && !store.stepped) store.licence = 0
    for (const process of s.processes) {
      if (isOver(process.licence[X]) || process.licence[X] === 'own') process.licence[X] = 0
      const tick = process.tick[X]
      if (this.#rules.licenceEndsAbsolutely && tick !== null && isOver(tick[0])) {
        process.tick[X] = null
      }
    }
  }

  #reading(state: State, ci: number, add: Add): void {
    const { process: p } = this.#setting.clients[ci]!
    const me = state.clients[ci]!
    const mine = (s: State): Running => s.clients[ci]!
    const X = me.X!
    const Y = other(X)
    const returns = (s: State, version: number, how: string): Wrong => {
      s.clients[ci] = { i: me.i + 1, at: 'idle' }
      if (version >= me.floor!) return undefined
      return `STALE: the read returns v${version} (${how}), v${me.floor} was acknowledged before it began`
    }
    const toOther = (s: State): void => {
      if (X === me.home) Object.assign(mine(s), { X: Y, at: 'trust' })
      else mine(s).at = 'load unstored'
    }
    const loads = (s: State): void => {
      delete mine(s).successor
      mine(s).at = 'load'
    }
    switch (me.at) {
      case 'trust':
        if (!this.#rules.asksBeforeRead && state.processes[p]!.licence[X] === 0) {
          this.#read(state, ci, add, toOther, () => undefined)
          return
        }
        this.#trust(state, p, X, (s) => void (mine(s).at = 'read'), toOther, add)
        return
      case 'trust after':
        this.#trust(state, p, X, (s) => returns(s, me.v!, `from ${NAMES[X]}`), toOther, add)
        return
      case 'read':
        this.#read(state, ci, add, toOther, returns)
        return
      case 'other': {
        const goes = (s: State): void => void (mine(s).at = 'other read')
        if (this.#rules.movesAskTrust) this.#trust(state, p, Y, goes, loads, add)
        else add(`p${p}: does not ask for ${NAMES[Y]}`, goes)
        return
      }
      case 'other read':
        if (!this.#reaches(state, p, Y)) {
          add(`p${p}: the read of ${NAMES[Y]} fails`, loads)
          return
        }
        add(`p${p}: reads ${NAMES[Y]} = ${show(state.stores[Y].cell)}, to move it`, (s) => {
          const { cell } = s.stores[Y]
          const known = this.#hearEra(s, p, Y)
          const fits = me.successor === '*' || tokenOf(cell) === me.successor
          if (!known || !this.#isLive(s, p, Y) || !fits) return loads(s)
          Object.assign(mine(s), {
            v: cell![1],
            at: 'fill',
            moves: me.successor === '*',
            from: s.processes[p]!.era[Y],
          })
          delete mine(s).successor
        })
        return
      case 'load':
        add(`p${p}: loads v${state.O}`, (s) => {
          Object.assign(mine(s), { v: s.O, at: 'fill' })
        })
        return
      case 'load unstored':
        add(`p${p}: loads v${state.O}, which is not stored`, (s) => returns(s, s.O, 'loaded'))
        return
      case 'fill':
        if (me.moves !== undefined && !this.#mayMove(state, p, me)) {
          add(`p${p}: does not move v${me.v}`, (s) => returns(s, me.v!, `from ${NAMES[Y]}`))
          return
        }
        this.#send(
          state,
          p,
          X,
          `p${p}: fills ${NAMES[X]} with v${me.v}`,
          (s) => ['F', me.v!, fresh(s), me.token!, me.era!],
          (s) => returns(s, me.v!, 'loaded or moved'),
          (s) => returns(s, me.v!, 'loaded or moved'),
          add,
        )
        return
      default:
        throw new Error(`nothing is known of ${me.at}`)
    }
  }

  /** Whether what was read on the other side may still be stored on this one. */
  #mayMove(s: State, p: number, { X, moves, from }: Running): boolean {
    const era = s.stores[X!].era
    const young = s.clients.some(({ op, eras }) => {
      return op !== 'clear' && eras !== undefined && eras[X!] !== era
    })
    if (young && moves === true && this.#rules.noMoveIntoYoungEra) return false
    const { licence, era: eras } = s.processes[p]!
    const Y = other(X!)
    return !this.#rules.movesAskAgain || (licence[Y] !== 0 && eras[Y] === from)
  }

  /** May the side be used for the key? */
  #trust(
    state: State,
    p: number,
    X: PairPlace,
    yes: (s: State) => Wrong,
    no: (s: State) => Wrong,
    add: Add,
  ): void {
    const board = other(X)
    if ((state.processes[p]!.alone?.[X] ?? 0) > 0) {
      add(`p${p}: alone knows that ${NAMES[X]} owes the key`, no)
      return
    }
    if (!this.#rules.licence) add(`p${p}: uses ${NAMES[X]}`, yes)
    else if (state.processes[p]!.licence[X] !== 0) {
      add(`p${p}: uses ${NAMES[X]} under its licence`, yes)
    } else if (!this.#reaches(state, p, board)) {
      add(`p${p}: nobody vouches for ${NAMES[X]}`, no)
    } else {
      const { indebted, owed, board: present } = state.stores[board]
      const owes = indebted && owed !== null && this.#rules.asks
      const stranger = this.#rules.peerRemembered && present !== state.processes[p]!.peer[X]
      const denied = owes || stranger
      add(`p${p}: asks ${NAMES[board]} about ${NAMES[X]}: ${denied ? 'owed' : 'clear'}`, (s) =>
        denied ? no(s) : yes(s),
      )
    }
  }

  /** Without a licence the era comes with the cell. False: another board vouched for this store. */
  #hearEra(s: State, p: number, X: PairPlace): boolean {
    const process = s.processes[p]!
    if (!this.#rules.eraWithCell || process.licence[X] !== 0) return true
    this.#settleEra(s, X)
    const { era, peer } = s.stores[X]
    process.era[X] = era
    if (!this.#rules.peerRemembered || peer === process.peer[X]) return true
    process.peer[X] = peer
    return false
  }

  #isLive(s: State, p: number, X: PairPlace): boolean {
    const { cell } = s.stores[X]
    return cell !== null && cell[0] === 'V' && cell[3] === s.processes[p]!.era[X]
  }

  #read(
    state: State,
    ci: number,
    add: Add,
    toOther: (s: State) => void,
    returns: (s: State, version: number, how: string) => Wrong,
  ): void {
    const { process: p } = this.#setting.clients[ci]!
    const me = state.clients[ci]!
    const X = me.X!
    if (!this.#reaches(state, p, X)) {
      add(`p${p}: the read of ${NAMES[X]} fails`, toOther)
      return
    }
    add(`p${p}: reads ${NAMES[X]} = ${show(state.stores[X].cell)}`, (s) => {
      const { cell } = s.stores[X]
      if (!this.#hearEra(s, p, X)) return toOther(s)
      const C = s.clients[ci]!
      if (this.#isLive(s, p, X)) {
        if (me.at === 'read') return returns(s, cell![1] as number, `from ${NAMES[X]}`)
        Object.assign(C, { at: 'trust after', v: cell![1] })
        return undefined
      }
      C.token = tokenOf(cell)
      C.era = s.processes[p]!.era[X]
      let successor = ''
      if (cell === null) successor = '*'
      else if (cell[0] === 'T') successor = cell[2]
      // Only on its own side, where a value that moves is used again.
      if (successor !== '' && X === me.home) Object.assign(C, { at: 'other', successor })
      else C.at = 'load'
      return undefined
    })
    if (state.left.timeouts > 0) {
      add(`p${p}: the read of ${NAMES[X]} is not answered`, (s) => {
        s.left.timeouts -= 1
        toOther(s)
      })
    }
  }

  /* ---- ticks and repayment */

  #ticks(state: State, p: number, X: PairPlace, add: Add): void {
    if (!this.#rules.licence) return
    const Y = other(X)
    const process = state.processes[p]!
    const [store, board] = [state.stores[X], state.stores[Y]]
    const reads = this.#readers[p]!
    const word = board.indebted ? -1 : board.turns + 1
    const sent = process.tick[X]
    const hears = (s: State): void => {
      const { era, peer, licence } = s.stores[X]
      const it = s.processes[p]!
      if (!reads || !it.up) return
      it.era[X] = era
      it.peer[X] = peer
      it.licence[X] = licence
    }
    const current =
      store.era % 2 === 0 &&
      board.era % 2 === 0 &&
      (!this.#rules.peerRemembered || store.peer === board.board) &&
      (!reads || (process.era[X] === store.era && process.peer[X] === store.peer))
    if (this.#reaches(state, p, Y) && (sent === null || sent[0] !== word)) {
      const idle = store.licence === word && (!reads || process.licence[X] === word) && current
      const nothing = word === -1 && store.licence === 0 && process.licence[X] === 0 && current
      if ((!idle || state.left.lateTicks > 0) && !nothing) {
        add(
          `p${p}: ticks: ${NAMES[X]} is ${word === -1 ? 'indebted' : 'clear'}, says ${NAMES[Y]}`,
          (s) => {
            if (idle) s.left.lateTicks -= 1
            this.#settleEra(s, Y)
            s.processes[p]!.tick[X] = [word, s.stores[Y].board]
          },
        )
      }
    }
    // A tick on its way arrives even when its process is gone.
    if ((process.up ? this.#reaches(state, p, X) : store.up) && sent !== null) {
      add(`p${p}: ticks: ${NAMES[X]} hears it`, (s) => {
        s.processes[p]!.tick[X] = null
        this.#tick(s, X, sent[0], sent[1])
        hears(s)
      })
    }
    if (!this.#reaches(state, p, X)) return
    const learns = (process.licence[X] !== store.licence && store.licence !== 0) || !current
    if (reads && sent === null && learns) {
      add(`p${p}: ticks: learns the licence and the era of ${NAMES[X]}`, (s) => {
        this.#settleEra(s, X)
        this.#notice(s, X)
        hears(s)
      })
    }
    this.#solo(state, p, X, add)
  }

  #notice(s: State, X: PairPlace): void {
    const store = s.stores[X]
    if (!store.stepped || !this.#rules.stepEndsLicence) return
    store.stepped = false
    store.licence = 0
  }

  #tick(s: State, X: PairPlace, word: number, board: number): void {
    this.#settleEra(s, X)
    this.#notice(s, X)
    const store = s.stores[X]
    if (this.#rules.peerRemembered && store.peer !== board) {
      // Late, or from a board that lost its place.
      if (board < store.peer) return
      if (store.peer !== -1 && store.licence === 0) store.era += 2
      store.peer = board
    }
    if (word === -1) store.licence = 0
    else store.licence = store.licence === 'own' ? word : Math.max(store.licence, word)
  }

  /** The other store is out: X vouches for itself. */
  #solo(state: State, p: number, X: PairPlace, add: Add): void {
    const store = state.stores[X]
    if (this.#reaches(state, p, other(X)) || store.licence === 'own') return
    const silent = !state.processes.some(
      (_, q) => this.#reaches(state, q, X) && this.#reaches(state, q, other(X)),
    )
    if (!silent && this.#rules.soloOnlyInSilence) return
    const lapsed = store.licence === 0 || (store.stepped && this.#rules.stepEndsLicence)
    const begins = lapsed && this.#rules.soloNeedsEra
    add(`p${p}: ${NAMES[X]} vouches for itself${begins ? ', in a new era' : ''}`, (s) => {
      this.#settleEra(s, X)
      this.#notice(s, X)
      if (begins) s.stores[X].era += 2
      s.stores[X].licence = 'own'
      for (const process of s.processes) process.tick[X] = null
    })
  }

  #repays(state: State, p: number, X: PairPlace, add: Add): void {
    const Y = other(X)
    const { owed, indebted } = state.stores[Y]
    const repaid = state.processes[p]!.repaid[X]
    const waits =
      this.#rules.repaidAfterDeadline &&
      state.late.some(([place, [kind]]) => place === X && kind === 'V')
    if (owed !== null && repaid === null && !waits && this.#reaches(state, p, X)) {
      add(`p${p}: repays: ${NAMES[X]} := tombstone`, (s) => {
        this.#apply(s, X, ['T', fresh(s), ''])
        s.processes[p]!.repaid[X] = this.#repaidOf(s.stores[Y].owed!)
      })
    }
    if (!this.#reaches(state, p, Y)) return
    if (repaid !== null) {
      add(`p${p}: settles on ${NAMES[Y]} what ${NAMES[X]} owed`, (s) => {
        s.processes[p]!.repaid[X] = null
        if (repaid === 'any' || s.stores[Y].owed === repaid) s.stores[Y].owed = null
      })
    }
    if (indebted && owed === null) {
      add(`p${p}: ticks: nothing is owed any more, ${NAMES[Y]}'s board is clear`, (s) => {
        s.stores[Y].indebted = false
      })
    }
  }

  /** What this process alone knows: it tells the store itself, or notes it on the board of the other one. */
  #handsOver(state: State, p: number, X: PairPlace, add: Add): void {
    const alone = state.processes[p]!.alone
    const Y = other(X)
    if (alone === undefined || alone[X] === 0 || (alone[X] === 2 && alone[Y] !== 0)) return
    const told = (s: State): void => {
      const it = s.processes[p]!
      it.alone![X] = 0
      if (it.alone!.every((one) => one === 0)) s.floor = Math.max(s.floor, it.knows!)
    }
    if (this.#reaches(state, p, X)) {
      add(`p${p}: delivers what it alone knew: ${NAMES[X]} := tombstone`, (s) => {
        this.#apply(s, X, ['T', fresh(s), ''])
        told(s)
      })
    }
    if (this.#reaches(state, p, Y)) {
      add(`p${p}: hands over to ${NAMES[Y]} that ${NAMES[X]} owes, and waits for L`, (s) => {
        this.#note(s, Y)
        this.#endLicences(s, Y, s.stores[Y].turns)
        told(s)
      })
    }
  }

  #repaidOf(generation: string): string {
    return this.#rules.debtsHaveGenerations ? generation : 'any'
  }

  /* ---- what happens to them */

  #world(state: State, add: Add): void {
    const { left } = state
    const mayHeal = this.#setting.forGood !== true
    const lose = (s: State, X: PairPlace, p?: number): void => {
      if (!this.#rules.waitIsUnbroken) return
      s.clients.forEach((C, i) => {
        const { process } = this.#setting.clients[i]!
        if (C.board !== X || (p !== undefined && process !== p)) return
        if (C.at === 'wait' || C.at === 'look') Object.assign(C, { at: 'wait', broken: true })
      })
    }
    state.processes.forEach(({ up, links }, p) => {
      if (!up) return
      const splits = (change: (s: State) => void): boolean => this.#splits(state, change)
      if (left.crashes > 0 && !splits((s) => void (s.processes[p]!.up = false)))
        add(`p${p} is killed`, (s) => this.#kill(s, p))
      for (const X of BOTH) {
        const cut = (s: State): void => void (s.processes[p]!.links[X] = false)
        if (links[X] && left.cuts > 0 && !splits(cut)) {
          add(`p${p} is cut off from ${NAMES[X]}`, (s) => {
            s.left.cuts -= 1
            cut(s)
            lose(s, X, p)
          })
        }
        if (!links[X] && mayHeal) {
          add(`p${p} reaches ${NAMES[X]} again`, (s) => {
            s.processes[p]!.links[X] = true
          })
        }
      }
    })
    for (const X of BOTH) {
      const { up, cell } = state.stores[X]
      if (!up) {
        if (mayHeal) add(`${NAMES[X]} is back`, (s) => void (s.stores[X].up = true))
        continue
      }
      if (left.hangs > 0) {
        add(`${NAMES[X]} hangs`, (s) => {
          s.left.hangs -= 1
          s.stores[X].up = false
          lose(s, X)
        })
      }
      this.#losses(state, X, add)
      const busy = state.clients.some(({ at }) => at !== 'idle' && at !== 'dead')
      if (left.expiries > 0 && cell !== null && !busy && state.late.length === 0) {
        add(`${NAMES[X]}'s cell has lived its life`, (s) => {
          s.left.expiries -= 1
          s.stores[X].cell = null
        })
      }
    }
    state.late.forEach(([X, command, p], i) => {
      if (state.stores[X].up) {
        add(`LATE: ${NAMES[X]} applies ${command[0]} of p${p}`, (s) => {
          s.late.splice(i, 1)
          this.#apply(s, X, command)
        })
      }
      const cleared = command[0] === 'F' && state.clients.some(({ at }) => at === 'clear cells')
      if (command[0] === 'V' || cleared) {
        add(`the deadline of p${p}'s write to ${NAMES[X]} passes`, (s) => void s.late.splice(i, 1))
      }
    })
  }

  /** Whether the change would split the fleet where that is left out. */
  #splits({ processes }: State, change: (s: State) => void): boolean {
    if (this.#setting.unsplit !== true) return false
    const after = { processes: structuredClone(processes) } as State
    change(after)
    const someReach = (a: boolean, b: boolean): boolean =>
      after.processes.some(({ up, links }) => up && links[A] === a && links[B] === b)
    return someReach(true, false) && someReach(false, true) && !someReach(true, true)
  }

  #losses(state: State, X: PairPlace, add: Add): void {
    const { left } = state
    const loses = (s: State): void => {
      const store = s.stores[X]
      Object.assign(store, { indebted: false, owed: null, licence: 0, stepped: false })
      if (store.era % 2 === 0) store.board += 1
      store.era |= 1
    }
    if (!(this.#setting.flushed ?? BOTH).includes(X)) return
    if (left.flushes > 0) {
      add(`${NAMES[X]} is emptied (FLUSHALL)`, (s) => {
        s.left.flushes -= 1
        s.stores[X].cell = null
        loses(s)
      })
    }
    if (left.evictions > 0) {
      add(`${NAMES[X]} evicts its state`, (s) => {
        s.left.evictions -= 1
        loses(s)
      })
    }
    if (left.steps > 0) {
      add(`${NAMES[X]}'s clock steps forward by more than L`, (s) => {
        s.left.steps -= 1
        s.stores[X].licence = 0
        if (!this.#rules.stepRestartsWait) s.stores[X].passed = s.stores[X].turns
      })
      add(`${NAMES[X]}'s clock steps back by more than L`, (s) => {
        s.left.steps -= 1
        s.stores[X].stepped = true
      })
    }
  }

  #kill(s: State, p: number): void {
    s.left.crashes -= 1
    const process = s.processes[p]!
    process.up = false
    process.licence = [0, 0]
    process.repaid = [null, null]
    delete process.alone
    this.#setting.clients.forEach((client, i) => {
      if (client.process !== p) return
      if (s.writer === i) s.writer = -1
      s.clients[i] = { i: 99, at: 'dead' }
    })
  }
}

function tokenOf(cell: PairCell): string {
  return cell === null ? '' : cell[0] === 'V' ? cell[2] : cell[1]
}

function show(cell: PairCell): string {
  if (cell === null) return 'nothing'
  return cell[0] === 'V'
    ? `v${cell[1]}`
    : `a tombstone${cell[2] === '' ? '' : ' that names a value'}`
}
