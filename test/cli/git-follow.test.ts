import { rename } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { usual } from '../rollout/support.ts'
import { fakeProcess } from '../support/fake-process.ts'
import { gitTeam } from '../support/git-team.ts'
import { until } from '../support/until.ts'

it('watch, guard and control know what the remote has, and say once that it cannot be asked', async () => {
  const { here, git, run, push } = await gitTeam()
  const head = git('rev-parse HEAD')
  await using app = await fakeProcess({ on: 10, instance: 'a' })
  const over = new AbortController()
  const said = { watch: '', guard: '', control: '' }
  const start = (name: keyof typeof said, ...argv: readonly string[]) =>
    run([name, ...argv, '--no-flagd', '--json', '--metrics', app.url], {
      signal: over.signal,
      onOutput: (text) => void (said[name] += text),
    })
  const watched = (): Record<string, unknown> =>
    JSON.parse(said.watch.trim().split('\n').at(-1) || '{}') as Record<string, unknown>
  const url = (): string => /"url":"(http[^"]+)"/.exec(said.control)?.[1] ?? ''
  const page = async (): Promise<string> => (await fetch(`${url()}/api/state`)).text()
  const ended = [
    start('watch', '--interval', '0.2'),
    start('guard'),
    start('control', '--guard', 'off', '--port', '0'),
  ]
  await until(
    'all run',
    () => watched()['share'] === 10 && url() !== '' && /"start"/.test(said.guard),
  )
  await until('the page has the share', async () => /"share":10[,}]/.test(await page()))

  await push('flags/use-redis.json', usual.replace('10], ["off", 90]', '3], ["off", 97]'))
  await until('watch shows it', () => watched()['share'] === 3)
  await until('the guard yields', () => /"action":"yield"/.test(said.guard))
  await until('the page shows it', async () => /"share":3[,}]/.test(await page()))
  // Who only looks changes nothing here.
  expect([git('rev-parse HEAD'), git('status -s')]).toEqual([head, ''])

  const origin = join(here, '..', 'origin.git')
  await rename(origin, `${origin}.gone`)
  const why = /what origin\/main has is not known since [\d:]+ UTC: git fetch failed: /
  await until('watch names it', () => why.test(String(watched()['stale'])))
  await until('the guard names it', () => /"action":"alarm".*stale/.test(said.guard))
  await until('the page names it', async () => why.test(await page()))
  expect(watched()).toMatchObject({ ok: true, share: 3 })
  await rename(`${origin}.gone`, origin)
  await until('watch is well again', () => watched()['stale'] === '')
  await until('the page is well again', async () => !why.test(await page()))
  await until('the guard is well again', () => /"action":"clear".*stale/.test(said.guard))
  expect(
    said.guard.split('\n').filter((line) => /"action":"alarm".*"alarm":"stale"/.test(line)),
  ).toHaveLength(1)

  // What it has pushed itself is known at once; what was asked before that has no say.
  app.says = { on: 0, instance: 'a' }
  const options = { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' }
  const answer = (await (await fetch(`${url()}/api/rollback`, options)).json()) as object
  expect(answer).toMatchObject({ from: 3, to: 0, written: true })
  expect(await page()).toMatch(/"share":0[,}]/)
  expect(git('rev-parse HEAD')).toBe(git('rev-parse origin/main'))

  over.abort()
  await Promise.all(ended)
}, 120_000)
