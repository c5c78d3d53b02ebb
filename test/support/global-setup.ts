import { execFileSync } from 'node:child_process'

/** Builds `dist/` once, since end-to-end tests run the product as child processes. */
export default function setup(): void {
  execFileSync('npx', ['tsc', '-p', 'tsconfig.build.json'], { stdio: 'inherit' })
}
