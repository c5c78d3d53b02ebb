import { readdir } from 'node:fs/promises'

/** The files in flags/ that may hold flags, sorted: a guard keeps its state and its view beside them. */
export async function namesInFlags(ending: RegExp = /\.json$/): Promise<string[]> {
  const names = await readdir('flags').catch((): string[] => [])
  return names.filter((name) => ending.test(name) && !/\.guard(\.status)?\.json$/.test(name)).sort()
}
