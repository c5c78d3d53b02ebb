/** Domains of the sources that are open, the latest last. */
const open: { readonly domain: string }[] = []
let made = 0

/**
 * A domain that nobody else uses. OpenFeature's default provider is the application's: to set another
 * closes it.
 */
export function ownDomain(): string {
  made++
  return made === 1 ? 'switchback' : `switchback-${made}`
}

/** @returns a function that takes it away again */
export function openDomain(domain: string): () => void {
  const entry = { domain }
  open.push(entry)
  return () => {
    const at = open.indexOf(entry)
    if (at !== -1) open.splice(at, 1)
  }
}

/** That of the source which was set up last and is still open. */
export function latestDomain(): string | undefined {
  return open.at(-1)?.domain
}
