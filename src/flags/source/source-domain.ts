/** Domains of the open sources, the latest last. */
const open: { readonly domain: string }[] = []
let made = 0

/**
 * A domain that is not used yet. OpenFeature's default provider belongs to the application: setting
 * another would close it.
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

/** The domain of the open source that was set up last. */
export function latestDomain(): string | undefined {
  return open.at(-1)?.domain
}
