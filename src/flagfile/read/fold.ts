/** Go finds the members of a flag in any case, and takes two odd letters for `s` and `k`. */
export function folded(key: string): string {
  return key.replaceAll('\u017F', 's').replaceAll('\u212A', 'k').replaceAll(/[A-Z]/g, lower)
}

function lower(letter: string): string {
  return String.fromCharCode(letter.charCodeAt(0) + 32)
}
