import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { packageRoot } from '../../package-root.ts'

const FILE = join('flags', 'use-redis.json')

/** The flags file in the working directory, else its directory, else the file of the package. */
export function defaultFlags(): string {
  if (existsSync(FILE)) return FILE
  return existsSync('flags') ? 'flags' : packagedFlags()
}

/** The flags file that the demo starts from: ours, else the package's. */
export function exampleFlags(): string {
  return existsSync(FILE) ? FILE : packagedFlags()
}

function packagedFlags(): string {
  return fileURLToPath(new URL('flags/use-redis.json', packageRoot()))
}
