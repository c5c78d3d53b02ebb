export interface BlindnessSettings {
  /** Seconds without enough replicas until an alarm. @default 30 */
  readonly alarmAfterS?: number
  /** Seconds without enough replicas until the guard stops waiting. @default 600 */
  readonly giveUpAfterS?: number
  /** Share of the known replicas that must be heard. @default 0.5 */
  readonly quorum?: number
  /** Seconds after which a silent replica counts as scaled down. @default 300 */
  readonly forgetAfterS?: number
}

export interface BlindnessState {
  /** When each replica was last heard, seconds; one that was named counts from the first poll. */
  readonly heard: Readonly<Record<string, number>>
  /** Since when fewer than the quorum answer; undefined while enough do. */
  readonly blindSince: number | undefined
}

/**
 * - `seeing`: enough replicas answered in this poll;
 * - `waiting`: not enough; nothing advances;
 * - `blind`: not enough for so long that it is an alarm;
 * - `lost`: not enough for so long that waiting is no longer an option.
 */
export type Sight = 'seeing' | 'waiting' | 'blind' | 'lost'

export interface SightReport {
  readonly state: BlindnessState
  readonly sight: Sight
  /** Replicas that do not answer but are still expected. */
  readonly silent: readonly string[]
  /** How long, in seconds, the quorum has been missing. */
  readonly blindS: number
}

/** No replica has answered yet. */
export const unseen: BlindnessState = { heard: {}, blindSince: undefined }

/**
 * Lost metrics are not success. One step of the state: the replicas that answered at `at`. Replicas
 * that were found come and go, so long-silent ones are forgotten, but never the last ones.
 * @param named replicas that somebody named: each is expected from the first poll on, and for ever
 */
export function look(
  state: BlindnessState,
  at: number,
  heardNow: readonly string[],
  settings: BlindnessSettings = {},
  named: readonly string[] = [],
): SightReport {
  const { alarmAfterS = 30, giveUpAfterS = 600, quorum = 0.5, forgetAfterS = 300 } = settings
  const since = (replicas: readonly string[]): Record<string, number> =>
    Object.fromEntries(replicas.map((replica) => [replica, at]))
  const known = Object.entries({ ...since(named), ...state.heard, ...since(heardNow) })
  const kept =
    heardNow.length === 0
      ? known
      : known.filter(([replica, time]) => at - time < forgetAfterS || named.includes(replica))
  const silent = kept.filter(([replica]) => !heardNow.includes(replica)).map(([replica]) => replica)
  const seeing = heardNow.length > 0 && heardNow.length >= kept.length * quorum
  const blindSince = seeing ? undefined : (state.blindSince ?? at)
  const blindS = blindSince === undefined ? 0 : at - blindSince
  let sight: Sight = 'seeing'
  if (!seeing) sight = 'waiting'
  if (!seeing && blindS >= alarmAfterS) sight = 'blind'
  if (!seeing && blindS >= giveUpAfterS) sight = 'lost'
  return { state: { heard: Object.fromEntries(kept), blindSince }, sight, silent, blindS }
}
