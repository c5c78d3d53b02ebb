import { chmod, mkdir, rename, rm, utimes, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryDirectory, usual } from '../rollout/support.ts'
import { startFlagd } from '../support/flagd.ts'
import { redisServerAvailable, startRedis } from '../support/redis-server.ts'
import { runCommand } from '../support/run-command.ts'

interface Finding {
  readonly check: string
  readonly state: string
  readonly text: string
  readonly remedy: string
}

async function place(text = usual) {
  const cwd = await temporaryDirectory()
  await chmod(cwd, 0o755)
  await mkdir(join(cwd, 'flags'))
  const file = join(cwd, 'flags', 'use-redis.json')
  await writeFile(file, text)
  const flagd = await startFlagd(file)
  const { evaluation, management, sync } = flagd.ports
  const argv = ['doctor', '--flagd', flagd.url, '--ports', `${evaluation},${management},${sync}`]
  const run = (more: readonly string[] = [], env: Record<string, string> = {}) =>
    runCommand([...argv, ...more], { cwd, env })
  return {
    file,
    flagd,
    run,
    async findings(
      env: Record<string, string> = {},
    ): Promise<{ ok: boolean; findings: Finding[] }> {
      const { stdout, stderr } = await run(['--json'], env)
      expect(stderr).toBe('')
      return JSON.parse(stdout)
    },
  }
}

describe('doctor', () => {
  it.skipIf(!redisServerAvailable())('finds nothing wrong where nothing is', async () => {
    const here = await place()
    await using redis = await startRedis()
    const { code, stdout, stderr } = await here.run(['--redis', redis.url])
    expect(stderr).toBe('')
    expect(stdout).not.toContain('problem')
    for (const check of [
      'flags file',
      'flag',
      'edits',
      'readable',
      'served',
      'flagd rpc',
      'flagd sync',
      'flagd ready',
      'provider',
      'redis',
    ]) {
      expect(stdout).toMatch(new RegExp(`^  ok +${check}  `, 'm'))
    }
    // A fresh redis-server has no limit.
    expect(stdout).toMatch(/warning {2}redis memory +maxmemory is not set/)
    expect(code).toBe(0)
  })

  it('tells each problem with its remedy, and exits 1', async () => {
    const here = await place()
    const state = async (env?: Record<string, string>) => {
      const { ok, findings } = await here.findings(env)
      const wrong = findings.filter((each) => each.state === 'problem' || each.state === 'warning')
      for (const { remedy } of wrong) expect(remedy).not.toBe('')
      return {
        ok,
        wrong: wrong.map(({ check }) => check),
        text: wrong.map(({ text }) => text).join('\n'),
      }
    }
    expect(await state()).toMatchObject({ ok: true, wrong: [] })

    await chmod(here.file, 0o600)
    expect(await state()).toMatchObject({ ok: true, wrong: ['readable'] })
    await chmod(here.file, 0o644)

    const future = new Date(Date.now() + 3_600_000)
    await utimes(here.file, future, future)
    expect(await state()).toMatchObject({ wrong: ['file time'] })

    await utimes(here.file, new Date(), new Date())
    const contradiction = { FLAGD_RESOLVER: 'rpc', FLAGD_OFFLINE_FLAG_SOURCE_PATH: '/x.json' }
    // In file mode that file is the flags file, and this one does not exist.
    expect((await state(contradiction)).wrong).toEqual(['flags file', 'provider'])
    const { wrong, text } = await state({ REDIS_URL: 'redis://:secret@127.0.0.1:1' })
    expect(wrong).toEqual(['redis'])
    expect(text).not.toContain('secret')

    // flagd keeps the last good flags, so the file says something that is not served.
    await writeFile(
      `${here.file}.new`,
      usual.replace('"defaultVariant": "off"', '"defaultVariant": "new"'),
    )
    await rename(`${here.file}.new`, here.file)
    expect(await state()).toMatchObject({ ok: false, wrong: ['flags file'] })
  })

  it('tells that flagd serves another file, and that it is gone', async () => {
    const here = await place()
    const other = await place(usual.replace('["on", 10], ["off", 90]', '["on", 20], ["off", 80]'))
    const different = await here.run(['--flagd', other.flagd.url])
    expect(different.code).toBe(1)
    expect(different.stdout).toMatch(
      /problem {2}served +flagd serves something other than the file says/,
    )
    expect(different.stdout).toContain('-> restart flagd: its file watch ends')
    const gone = await here.run(['--flagd', 'http://127.0.0.1:1', '--ports', '1,1,1'])
    expect(gone.code).toBe(1)
    expect(gone.stdout).toMatch(
      /problem {2}served +flagd does not answer at http:\/\/127\.0\.0\.1:1/,
    )
    expect(gone.stdout).toMatch(/warning {2}flagd rpc/)
    const usage = await here.run(['--ports', '1,2'])
    expect(usage).toMatchObject({
      code: 2,
      stderr: expect.stringContaining('not a list of three ports'),
    })
  })

  it('says why flagd is not asked, and whose provider it means', async () => {
    const here = await place()
    const env = { FLAGD_OFFLINE_FLAG_SOURCE_PATH: here.file, FLAGD_RESOLVER: 'in-process' }
    const inFiles = await runCommand(['doctor'], { env })
    expect(inFiles.stdout).toMatch(
      /skipped {2}served +FLAGD_OFFLINE_FLAG_SOURCE_PATH: the processes read this file themselves/,
    )
    expect(inFiles.stdout).toContain(`a process with the FLAGD_* of this shell: file ${here.file}`)
    expect((await here.run()).stdout).toMatch(
      /ok +provider +a process with the FLAGD_\* of this shell: rpc at localhost:8013\n/,
    )
  })

  it('looks at all the rest where there is no flags file', async () => {
    const here = await place()
    await rm(here.file)
    const { code, stdout, stderr } = await here.run()
    expect(stderr).toBe('')
    expect(code).toBe(1)
    expect(stdout).toMatch(/problem {2}flags file +no file in flags\/ has the flag "use-redis"/)
    expect(stdout).toMatch(/skipped {2}served +nothing to compare with: no file in flags/)
    for (const check of ['flagd rpc', 'flagd sync', 'flagd ready', 'provider']) {
      expect(stdout).toMatch(new RegExp(`^  ok +${check}  `, 'm'))
    }
    expect(stdout).toMatch(/skipped {2}redis/)
    expect(
      (await here.findings()).findings.filter((each) => each.state === 'problem'),
    ).toHaveLength(1)
  })
})
