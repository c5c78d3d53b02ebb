/** Forgets the oldest until no more than `limit` are left. */
export function evictOver(
  entries: Pick<Map<string, unknown>, 'keys' | 'size' | 'delete'>,
  limit: number,
): void {
  for (const oldest of entries.keys()) {
    if (entries.size <= limit) return
    entries.delete(oldest)
  }
}
