/** The two implementations behind the flag, named after its variants: `off` the old, `on` the new. */
export type Side = 'off' | 'on'

export function otherSide(side: Side): Side {
  return side === 'on' ? 'off' : 'on'
}
