import { explore, type Found, fresh, type Step } from './search.ts'

/*
 * The protocol of a fleet for one key: every machine has an old side of its own (F: files, memory), and all share
 * the new side (R: one Redis). Each process follows R: a push says that something happened to the key there. What
 * a process has not confirmed since, it asks R about before it uses it.
 *
 * Time is no number here. "X passes": whatever was acknowledged before has been pushed, or its receiver knows that
 * its connection is no proof any more. "T passes": tombstones of R end, and doubts are too old to be settled by R
 * having nothing. "aloneFor passes": who cannot reach R stops using what it had when it could.
 *
 * What is promised: nobody reads from R what is older than anything acknowledged; nobody reads from F what is older
 * than what was acknowledged on the same machine, or was pushed to this process, or X ago - aloneFor ago while R
 * cannot be reached.
 */

/** Each can be left out, to see what it is for. */
export interface FleetRules {
  /** Processes follow R at all. */
  readonly follows: boolean
  /** A cell is used without asking only while the connection has proven itself within X. */
  readonly proof: boolean
  /** What was confirmed before a connection was made is in doubt. */
  readonly gapIsDoubt: boolean
  /** That doubt is as old as the last proof before, not as the new connection. */
  readonly gapCountsFromProof: boolean
  /** What a process did not write, fill or confirm itself is in doubt since it was written. */
  readonly foundIsDoubt: boolean
  /** A cell in doubt is not used before R was asked. */
  readonly doubtAsks: boolean
  /** Of the tombstones only the one that names the cell confirms it. */
  readonly onlyNamedConfirms: boolean
  /** That R has nothing confirms only a doubt that is younger than a tombstone's life. */
  readonly absenceOnlyYoung: boolean
  /** ... and younger than R's era, which the answer names. */
  readonly absenceInEra: boolean
  /** A push during the question keeps the doubt. */
  readonly confirmSeesPush: boolean
  /** A fill of F is refused if a push came since the miss. */
  readonly fillSeesPush: boolean
  /** Onto a key that R does not have, F's value moves only as far as it could be confirmed. */
  readonly movesOnlyConfirmed: boolean
  /** Such a value is used only if R has taken it: its script compares the era. */
  readonly movesLand: boolean
  /** While R owes the key it confirms nothing: a cell in doubt is a miss. */
  readonly owedIsMiss: boolean
  /** While R cannot be reached, what had been confirmed is used for a while and no longer. */
  readonly aloneEnds: boolean
}

type RuleName = keyof FleetRules

export const FLEET_RULES: Readonly<Record<RuleName, true>> = {
  follows: true,
  proof: true,
  gapIsDoubt: true,
  gapCountsFromProof: true,
  foundIsDoubt: true,
  doubtAsks: true,
  onlyNamedConfirms: true,
  absenceOnlyYoung: true,
  absenceInEra: true,
  confirmSeesPush: true,
  fillSeesPush: true,
  movesOnlyConfirmed: true,
  movesLand: true,
  owedIsMiss: true,
  aloneEnds: true,
}

export type FleetPlace = 'F' | 'R'

export interface FleetClient {
  readonly process: number
  readonly does: readonly ('read' | 'set' | 'delete')[]
  /** On which side each operation is; not given: on either. */
  readonly sides?: readonly (FleetPlace | undefined)[]
}

/** A value: version, token, whether it was written longer ago than T, or less than aloneFor. */
type Value = ['V', number, string, 'new' | 'recent' | 'old']
type Tombstone = ['T', string, string]
export type FleetCell = null | Value | Tombstone

export interface FleetSetting {
  readonly clients: readonly FleetClient[]
  /** The machine of each process. @default each its own */
  readonly machines?: readonly number[]
  /** How often: a connection for pushes dies unnoticed; T passes; a process restarts; ... */
  readonly gaps?: number
  readonly expiries?: number
  readonly restarts?: number
  /** A process loses R, commands and pushes, and may have it back. */
  readonly cuts?: number
  readonly forGood?: boolean
  /** R refuses a process's writes, and answers everything else. */
  readonly refusals?: number
  /** R is emptied, under its connections. */
  readonly flushes?: number
  readonly lonely?: number
  /** What the old sides have in the beginning, by machine. */
  readonly had?: readonly FleetCell[]
}

interface Machine {
  F: FleetCell
  /** Number of the debt of R in the machine's ledger; 0: none. */
  owes: number
  floor: number
}

type Doubt = 'none' | 'young' | 'old'

interface Process {
  /** The cell that this process wrote, filled or confirmed, and what has made it doubtful since. */
  token: string
  doubt: Doubt
  /** It receives pushes; `live`: for all it knows. */
  follows: boolean
  live: boolean
  /** T has passed since the last proof, or since the cell was confirmed. */
  long: boolean
  /** The last proof is less than aloneFor ago. */
  lately: boolean
  /** R's era when it began to follow. */
  era: number
  /** Versions on their way; -1: R was emptied. */
  pushes: number[]
  marks: number
  heard: number
  floor: number
  linked: boolean
  takes: boolean
  repaid: number
}

interface Running {
  i: number
  at: string
  op?: string
  S?: FleetPlace
  v?: number
  floor?: number
  floorF?: number
  token?: string
  named?: string
  marks?: number
  era?: number
  yes?: 'yes' | 'no' | 'value'
  doubt?: Doubt
  /** F's value, not the origin's. */
  moves?: boolean
  /** aloneFor has passed since it began. */
  slow?: boolean
}

interface State {
  O: number
  R: null | ['V', number, string] | Tombstone
  era: number
  machines: Machine[]
  processes: Process[]
  clients: Running[]
  writer: number
  /** The latest version acknowledged to all; the same X ago; the same aloneFor ago. */
  floor: number
  floorX: number
  floorAlone: number
  left: Record<Fault, number>
}

const FAULTS = ['gaps', 'expiries', 'restarts', 'cuts', 'refusals', 'flushes', 'lonely'] as const
type Fault = (typeof FAULTS)[number]
type Wrong = string | undefined | void
type Add = (label: string, change: (s: State) => Wrong) => void

export function checkFleet(
  rules: Partial<Record<RuleName, boolean>>,
  setting: FleetSetting,
  maxStates: number,
): Found {
  const model = new FleetModel({ ...FLEET_RULES, ...rules }, setting)
  return explore(model.initial(), (state) => model.steps(state), maxStates)
}

function tokenOf(cell: FleetCell | State['R']): string {
  if (cell === null) return ''
  return cell[0] === 'V' ? cell[2] : cell[1]
}

function shown(cell: FleetCell | State['R']): string {
  if (cell === null) return 'nothing'
  if (cell[0] === 'V') return `v${cell[1]}`
  return cell[2] === '' ? 'a tombstone' : 'a tombstone that names a value'
}

class FleetModel {
  readonly #rules: FleetRules
  readonly #setting: FleetSetting
  readonly #machineOf: readonly number[]

  constructor(rules: FleetRules, setting: FleetSetting) {
    this.#rules = rules
    this.#setting = setting
    const count = 1 + Math.max(...setting.clients.map(({ process }) => process))
    this.#machineOf = setting.machines ?? Array.from({ length: count }, (_, p) => p)
  }

  initial(): State {
    const { clients, had = [] } = this.#setting
    return {
      O: 1,
      R: null,
      era: 0,
      machines: Array.from({ length: 1 + Math.max(...this.#machineOf) }, (_, m) => ({
        F: had[m] ?? null,
        owes: 0,
        floor: 0,
      })),
      processes: this.#machineOf.map((m) => ({
        token: tokenOf(had[m] ?? null),
        doubt: 'none',
        follows: this.#rules.follows,
        live: true,
        long: false,
        lately: true,
        era: 0,
        pushes: [],
        marks: 0,
        heard: 0,
        floor: 0,
        linked: true,
        takes: true,
        repaid: 0,
      })),
      clients: clients.map(() => ({ i: 0, at: 'idle' })),
      writer: -1,
      floor: 0,
      floorX: 0,
      floorAlone: 0,
      left: Object.fromEntries(FAULTS.map((fault) => [fault, this.#setting[fault] ?? 0])) as Record<
        Fault,
        number
      >,
    }
  }

  steps(state: State): Step<State>[] {
    const found: Step<State>[] = []
    const text = JSON.stringify(state)
    const add: Add = (label, change) => {
      const s = JSON.parse(text) as State
      const wrong = change(s) ?? undefined
      found.push({ label, state: s, wrong })
    }
    state.clients.forEach(({ at }, i) => {
      if (at === 'idle') this.#begins(state, i, add)
      else if (at.startsWith('write')) this.#writes(state, i, add)
      else this.#reads(state, i, add)
    })
    state.processes.forEach((_, p) => this.#process(state, p, add))
    this.#world(state, add)
    return found
  }

  /* ---- what changes R, and who hears of it */

  #changeR(s: State, cell: State['R'], version: number): void {
    s.R = cell
    for (const P of s.processes) if (P.follows) P.pushes.push(version)
  }

  /** The process itself knows that its machine's cell is what it is. */
  #knows(s: State, p: number): void {
    const P = s.processes[p]!
    P.token = tokenOf(this.#home(s, p).F)
    P.doubt = 'none'
    P.long = false
  }

  #home(s: State, p: number): Machine {
    return s.machines[this.#machineOf[p]!]!
  }

  #doubtOf(s: State, p: number): Doubt {
    const P = s.processes[p]!
    const { F } = this.#home(s, p)
    if (P.token !== tokenOf(F) && this.#rules.foundIsDoubt) {
      return F !== null && F[0] === 'V' && F[3] === 'old' ? 'old' : 'young'
    }
    if (P.doubt !== 'none') return P.doubt
    if (P.live) return 'none'
    return P.long ? 'old' : 'young'
  }

  /* ---- operations */

  #begins(state: State, i: number, add: Add): void {
    const { process: p, does, sides } = this.#setting.clients[i]!
    const C = state.clients[i]!
    const op = does[C.i]
    if (op === undefined) return
    const given = sides?.[C.i]
    for (const S of given === undefined ? (['F', 'R'] as const) : [given]) {
      if (op === 'read') {
        add(`process ${p} reads, on ${S}`, (s) => {
          const floorF = this.#floorF(s, p)
          const floor = S === 'R' ? s.floor : floorF
          s.clients[i] = { i: C.i, at: `read ${S}`, S, floor, floorF }
        })
      } else if (state.writer === -1) {
        add(`the origin has v${state.O + 1}; process ${p} begins to ${op}, on ${S}`, (s) => {
          s.O += 1
          s.writer = i
          s.clients[i] = { i: C.i, at: 'write own', op, S, v: s.O }
        })
      }
    }
  }

  /** What a read of F must not be older than. */
  #floorF(s: State, p: number): number {
    const P = s.processes[p]!
    return Math.max(this.#home(s, p).floor, P.floor, P.linked ? s.floorX : s.floorAlone)
  }

  #writes(state: State, i: number, add: Add): void {
    const { process: p } = this.#setting.clients[i]!
    const { at, op, S, v = 0, token = '' } = state.clients[i]!
    const { linked, takes } = state.processes[p]!
    const told = linked && takes
    const onF = (s: State, successor: string): string => {
      const own = fresh(s)
      this.#home(s, p).F =
        op === 'set' && successor === '' ? ['V', v, own, 'new'] : ['T', own, successor]
      this.#knows(s, p)
      return op === 'set' ? own : ''
    }
    if (
      (at === 'write own' && S === 'R' && !told) ||
      (at === 'write other' && S === 'F' && !told)
    ) {
      add(`process ${p} cannot tell R`, (s) => void (s.clients[i]!.at = 'write ledger'))
    } else if (at === 'write ledger') {
      add(`process ${p}: F := ${op === 'set' ? `v${v}` : 'a tombstone'}, and R owes it`, (s) => {
        onF(s, '')
        const home = this.#home(s, p)
        home.owes = (home.owes % 3) + 1
        s.clients[i]!.at = 'write machine'
      })
    } else if (at === 'write machine') {
      add(`process ${p}: v${v} is acknowledged (this machine)`, (s) => {
        const home = this.#home(s, p)
        home.floor = Math.max(home.floor, v)
        this.#ends(s, i)
      })
    } else if (at === 'write own') {
      add(`process ${p}: ${S} := ${op === 'set' ? `v${v}` : 'a tombstone'}`, (s) => {
        const C = s.clients[i]!
        if (S === 'F') C.token = onF(s, '')
        else {
          const own = fresh(s)
          this.#changeR(s, op === 'set' ? ['V', v, own] : ['T', own, ''], v)
          C.token = op === 'set' ? own : ''
        }
        C.at = 'write other'
      })
    } else if (at === 'write other') {
      add(`process ${p}: the other side := a tombstone`, (s) => {
        if (S === 'F') this.#changeR(s, ['T', fresh(s), token], v)
        else {
          this.#home(s, p).F = ['T', fresh(s), token]
          this.#knows(s, p)
        }
        s.clients[i]!.at = 'write ack'
      })
    } else {
      add(`process ${p}: v${v} is acknowledged`, (s) => {
        const home = this.#home(s, p)
        s.floor = Math.max(s.floor, v)
        home.floor = Math.max(home.floor, v)
        for (const P of s.processes) if (P.heard >= v) P.floor = Math.max(P.floor, v)
        this.#ends(s, i)
      })
    }
  }

  #ends(s: State, i: number): void {
    if (s.writer === i) s.writer = -1
    s.clients[i] = { i: s.clients[i]!.i + 1, at: 'idle' }
  }

  #answers(s: State, i: number, v: number): Wrong {
    const { floor = 0, S } = s.clients[i]!
    this.#ends(s, i)
    return v < floor ? `STALE: v${v} is read on ${S}, v${floor} was acknowledged` : undefined
  }

  #reads(state: State, i: number, add: Add): void {
    const { process: p } = this.#setting.clients[i]!
    const C = state.clients[i]!
    const P = state.processes[p]!
    const home = this.#home(state, p)
    const { at } = C
    const go = (label: string, to: string, more: Partial<Running> = {}): void =>
      add(label, (s) => void Object.assign(s.clients[i]!, { at: to }, more))
    const missed = { token: tokenOf(home.F), marks: P.marks }

    if (at === 'read R') {
      if (home.owes > 0 || !P.linked) {
        go(`process ${p}: R owes or is out, so F`, 'read F', { S: 'F', floor: C.floorF! })
        return
      }
      const { R } = state
      add(`process ${p} reads R: ${shown(R)}`, (s) => {
        if (R !== null && R[0] === 'V') return this.#answers(s, i, R[1])
        Object.assign(s.clients[i]!, {
          at: R === null || R[2] !== '' ? 'move to R' : 'load',
          token: tokenOf(R),
          named: R === null ? '*' : R[2],
          // As last heard.
          era: P.era,
        })
      })
    } else if (at === 'move to R') {
      const { F } = home
      const doubt = this.#doubtOf(state, p)
      const confirmable = doubt !== 'old' && P.era === C.era
      const latest =
        F !== null &&
        F[0] === 'V' &&
        (C.named === '*' ? confirmable || !this.#rules.movesOnlyConfirmed : F[2] === C.named)
      if (latest) go(`process ${p} moves F's v${F[1]} to R`, 'fill', { v: F[1], moves: true })
      else go(`process ${p} finds nothing in F for R`, 'load')
    } else if (at === 'read F') this.#readsF(state, i, add, missed)
    else if (at === 'ask') {
      if (!P.linked) return go(`process ${p}: R does not answer`, 'load')
      const { R, era } = state
      const inEra = era === C.era || !this.#rules.absenceInEra
      const young = C.doubt === 'young' || !this.#rules.absenceOnlyYoung
      let answer: Partial<Running> = { yes: 'no' }
      if (R === null) answer = { yes: young && inEra ? 'yes' : 'no' }
      else if (R[0] === 'V') answer = { yes: 'value', v: R[1] }
      else if (R[2] === C.token || !this.#rules.onlyNamedConfirms) answer = { yes: 'yes' }
      go(`process ${p} asks R: ${shown(R)}`, 'answer', answer)
    } else if (at === 'answer') {
      if (C.yes === 'no') return go(`process ${p}: F's value is superseded`, 'load')
      add(`process ${p} hears it: ${C.yes === 'yes' ? 'still the latest' : 'take this'}`, (s) => {
        const Q = s.processes[p]!
        const same = tokenOf(this.#home(s, p).F) === C.token
        const quiet = Q.marks === C.marks || !this.#rules.confirmSeesPush
        if (C.yes === 'yes' && same && quiet && Q.live) this.#knows(s, p)
        return this.#answers(s, i, C.v!)
      })
    } else if (at === 'move to F') {
      if (!P.linked) return go(`process ${p}: R does not answer`, 'load')
      const { R } = state
      const latest = R !== null && R[0] === 'V' && (C.named === '*' || C.named === R[2])
      if (latest) go(`process ${p} moves R's v${R[1]} to F`, 'fill', { v: R[1] })
      else go(`process ${p} finds ${shown(R)} in R`, 'load')
    } else if (at === 'load') {
      go(`process ${p} loads v${state.O}`, 'fill', { v: state.O })
    } else this.#fills(state, i, add)
  }

  #readsF(state: State, i: number, add: Add, missed: Partial<Running>): void {
    const { process: p } = this.#setting.clients[i]!
    const P = state.processes[p]!
    const { F, owes } = this.#home(state, p)
    const go = (label: string, to: string, more: Partial<Running> = {}): void =>
      add(label, (s) => void Object.assign(s.clients[i]!, { at: to }, missed, more))
    if (F === null || F[0] === 'T') {
      const named = F === null ? '*' : F[2]
      const alone = owes > 0 || !P.linked || named === ''
      go(`process ${p} misses F`, alone ? 'load' : 'move to F', { named })
      return
    }
    const doubt = this.#doubtOf(state, p)
    const hit = (why: string): void =>
      add(`process ${p} uses F's v${F[1]}${why}`, (s) => this.#answers(s, i, F[1]))
    if (doubt === 'none' || !this.#rules.doubtAsks) return hit('')
    if (owes > 0 && P.linked) {
      if (!this.#rules.owedIsMiss) return hit(', as on one machine')
      return go(`process ${p}: R owes and F is in doubt, a miss`, 'load')
    }
    if (!P.linked) {
      const unmarked = P.token !== tokenOf(F) || P.doubt === 'none'
      const recent = F[3] === 'new' || (P.token === tokenOf(F) && P.lately)
      if (unmarked && (recent || !this.#rules.aloneEnds)) return hit(', alone')
      return go(`process ${p} is alone for too long, or F was marked`, 'load')
    }
    return go(`process ${p} must ask about F's v${F[1]}`, 'ask', { doubt, v: F[1], era: P.era })
  }

  #fills(state: State, i: number, add: Add): void {
    const { process: p } = this.#setting.clients[i]!
    const { S, token, marks, era, moves, named, v = 0 } = state.clients[i]!
    const P = state.processes[p]!
    if (S === 'R') {
      if (!P.linked || !P.takes) {
        add(`process ${p} cannot fill R`, (s) => this.#answers(s, i, v))
        return
      }
      add(`process ${p} fills R with v${v}`, (s) => {
        const lands = tokenOf(s.R) === token && s.era === era
        if (lands) this.#changeR(s, ['V', v, fresh(s)], 0)
        else if (moves && named === '*' && this.#rules.movesLand) {
          Object.assign(s.clients[i]!, { at: 'load', moves: false })
          return undefined
        }
        return this.#answers(s, i, v)
      })
      return
    }
    add(`process ${p} fills F with v${v}`, (s) => {
      const home = this.#home(s, p)
      const quiet = s.processes[p]!.marks === marks || !this.#rules.fillSeesPush
      if (tokenOf(home.F) === token && quiet) {
        // As old as its load.
        home.F = ['V', v, fresh(s), s.clients[i]!.slow === true ? 'recent' : 'new']
        this.#knows(s, p)
      }
      return this.#answers(s, i, v)
    })
  }

  /* ---- what happens to a process by itself */

  #process(state: State, p: number, add: Add): void {
    const P = state.processes[p]!
    const { left } = state
    const mark = (Q: Process): void => {
      Q.marks = (Q.marks + 1) % 6
      if (Q.doubt === 'none') Q.doubt = 'young'
    }
    if (P.pushes.length > 0) {
      add(`a push reaches process ${p}`, (s) => {
        const Q = s.processes[p]!
        const version = Q.pushes.shift()!
        if (version === -1) {
          Object.assign(Q, { follows: false, live: false, pushes: [], marks: (Q.marks + 1) % 6 })
          return
        }
        mark(Q)
        Q.heard = Math.max(Q.heard, version)
        if (s.floor >= version) Q.floor = Math.max(Q.floor, version)
      })
    }
    if (left.gaps > 0 && P.follows) {
      add(`process ${p}'s connection for pushes dies`, (s) => {
        s.left.gaps -= 1
        Object.assign(s.processes[p]!, { follows: false, pushes: [] })
      })
    }
    if (!P.follows && P.live && this.#rules.proof && this.#rules.follows) {
      add(`process ${p} has no proof for X`, (s) => void (s.processes[p]!.live = false))
    }
    if (this.#rules.follows && !P.follows && P.linked && (!P.live || !this.#rules.proof)) {
      add(`process ${p} follows again`, (s) => {
        const Q = s.processes[p]!
        if (this.#rules.gapIsDoubt) {
          mark(Q)
          if (Q.doubt === 'young' && Q.long && this.#rules.gapCountsFromProof) Q.doubt = 'old'
        }
        if (Q.era !== s.era && this.#rules.absenceInEra) Q.doubt = 'old'
        Object.assign(Q, { follows: true, live: true, long: false, lately: true, era: s.era })
      })
    }
    if (left.restarts > 0) {
      add(`process ${p} restarts`, (s) => {
        s.left.restarts -= 1
        const Q = s.processes[p]!
        const known = this.#rules.foundIsDoubt ? '' : tokenOf(this.#home(s, p).F)
        Object.assign(Q, { token: known, doubt: 'none', pushes: [], long: false, era: s.era })
        Object.assign(Q, { follows: this.#rules.follows, live: true, lately: true, repaid: 0 })
        this.#setting.clients.forEach((client, i) => {
          if (client.process === p && s.clients[i]!.at !== 'idle') this.#ends(s, i)
        })
      })
    }
    if (left.cuts > 0 && P.linked) {
      add(`process ${p} is cut off from R`, (s) => {
        s.left.cuts -= 1
        Object.assign(s.processes[p]!, { linked: false, follows: false, pushes: [] })
      })
    }
    if (!P.linked && this.#setting.forGood !== true) {
      add(`process ${p} reaches R again`, (s) => void (s.processes[p]!.linked = true))
    }
    if (left.refusals > 0 && P.takes) {
      add(`R refuses the writes of process ${p}`, (s) => {
        s.left.refusals -= 1
        s.processes[p]!.takes = false
      })
    }
    const home = this.#home(state, p)
    if (home.owes > 0 && P.linked && P.takes && P.repaid === 0) {
      add(`process ${p} repays: R := a tombstone`, (s) => {
        this.#changeR(s, ['T', fresh(s), ''], 0)
        s.processes[p]!.repaid = home.owes
      })
    }
    if (P.repaid > 0) {
      add(`process ${p} settles`, (s) => {
        if (home.owes === P.repaid) this.#home(s, p).owes = 0
        s.processes[p]!.repaid = 0
      })
    }
  }

  /* ---- time, and what happens to R */

  #world(state: State, add: Add): void {
    const { processes, left } = state
    const idle = state.clients.every(({ at }) => at === 'idle')
    const noticed = processes.every(
      ({ follows, live, pushes }) =>
        !this.#rules.follows || (pushes.length === 0 && (follows || !live || !this.#rules.proof)),
    )
    if (noticed && state.floorX < state.floor) {
      add('X passes', (s) => void (s.floorX = s.floor))
    }
    if (left.lonely > 0 && noticed) {
      add('aloneFor passes', (s) => {
        s.left.lonely -= 1
        s.floorX = s.floor
        s.floorAlone = s.floor
        for (const Q of s.processes) if (!Q.live) Q.lately = false
        for (const C of s.clients) if (C.at !== 'idle') C.slow = true
        for (const { F } of s.machines) if (F?.[0] === 'V' && F[3] === 'new') F[3] = 'recent'
      })
    }
    if (left.expiries > 0 && state.R !== null && idle && noticed) {
      add(`T passes: R's ${state.R[0] === 'V' ? 'value' : 'tombstone'} expires`, (s) => {
        s.left.expiries -= 1
        this.#changeR(s, null, 0)
        for (const Q of s.processes) {
          if (Q.doubt === 'young') Q.doubt = 'old'
          if (!Q.follows) Q.long = true
        }
        for (const { F } of s.machines) if (F?.[0] === 'V') F[3] = 'old'
      })
    }
    if (left.flushes > 0) {
      add('R is emptied', (s) => {
        s.left.flushes -= 1
        s.era += 1
        this.#changeR(s, null, -1)
      })
    }
  }
}
