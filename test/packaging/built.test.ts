import { execFile } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'

const DIST = join(import.meta.dirname, '..', '..', 'dist')
const run = promisify(execFile)

// The bundler drops a call whose result is not used when it takes the function for pure: decodeURIComponent
// in a `try` was dropped, so that nothing was ever refused. Tests of the source cannot see that.
it('no try of the built files has lost what it tries', () => {
  const files = readdirSync(DIST, { recursive: true, encoding: 'utf8' })
  for (const file of files.filter((each) => /\.[cm]?js$/u.test(each))) {
    const text = readFileSync(join(DIST, file), 'utf8')
    const empty = /\btry \{\s*(?:return(?: true| false| void 0)?;)?\s*\}/u
    expect([file, empty.exec(text)?.[0]]).toEqual([file, undefined])
  }
})

it('the built package and its command refuse a password with a % by code, without showing it', async () => {
  const url = 'redis://:100%@127.0.0.1:6379'
  const { redisCache } = (await import(join(DIST, 'index.mjs'))) as {
    redisCache(options: { readonly url: string }): unknown
  }
  expect(() => redisCache({ url })).toThrow(expect.objectContaining({ code: 'SB_REDIS_URL' }))
  const doctor = ['doctor', '--no-flagd', '--redis', url]
  const { stdout } = await run(process.execPath, [join(DIST, 'cli', 'bin.js'), ...doctor]).catch(
    (error: { readonly stdout: string }) => error,
  )
  expect(stdout).toContain('has a % in the user or the password that is not encoded')
  expect(stdout).not.toContain('100%@')
})
