/** Longer words, and names after this many, are not compared, to keep guessing fast. */
const longest = 64
const most = 50

/** The name that a person probably meant: the nearest within about two typing errors, if any. */
export function closestName(word: string, names: readonly string[]): string | undefined {
  if (word.length > longest) return undefined
  let best: string | undefined
  let least = 3
  for (const name of names.slice(0, most)) {
    if (Math.abs(word.length - name.length) >= least) continue
    const distance = typingDistance(word, name)
    if (distance < least) {
      least = distance
      best = name
    }
  }
  return best
}

/** A letter missed, doubled or swapped with its neighbour is likelier than a wrong one. */
const wrongLetter = 1.5

/** Damerau's distance (optimal string alignment), row by row, with {@link wrongLetter}. */
function typingDistance(a: string, b: string): number {
  let earlier: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const replaced = (row[j - 1] ?? 0) + (a[i - 1] === b[j - 1] ? 0 : wrongLetter)
      const shifted = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1)
      const swaps = i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]
      next.push(Math.min(replaced, shifted, swaps ? (earlier[j - 2] ?? 0) + 1 : Infinity))
    }
    earlier = row
    row = next
  }
  return row[b.length] ?? Infinity
}
