/** `07:52:35`, in UTC: those who read of one incident have clocks of several zones. */
export function clock(at: number): string {
  return new Date(at).toISOString().slice(11, 19)
}
