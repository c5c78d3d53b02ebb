import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { join } from 'node:path'
import { setTimeout as delay } from 'node:timers/promises'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isSwitchbackError } from '../../src/errors.ts'
import { startSidecar } from '../../src/sidecar/index.ts'
import type { Sidecar, SidecarLogEntry } from '../../src/sidecar/index.ts'
import { FileWatch } from '../../src/flagfile/index.ts'
import { FREE, flagsFixture, until } from '../support/flagd-server.ts'

const flag = (name: string): object => ({
  state: 'ENABLED',
  variants: { [name]: name },
  defaultVariant: name,
})
const config = (name: string): object => ({ flags: { which: flag(name) } })
const text = (name: string): string => JSON.stringify(config(name))

interface Watched extends AsyncDisposable {
  readonly sidecar: Sidecar
  readonly log: SidecarLogEntry[]
  value(): Promise<unknown>
  /** Resolves when it is served; the bound is generous, since machines are busy. */
  served(value: string): Promise<void>
}

async function watched(file: string): Promise<Watched> {
  const log: SidecarLogEntry[] = []
  const sidecar = await startSidecar({ file, ports: FREE, onLog: (entry) => log.push(entry) })
  const url = `http://127.0.0.1:${sidecar.ports.ofrep}/ofrep/v1/evaluate/flags/which`
  const value = async (): Promise<unknown> => {
    const answer = (await (await fetch(url, { method: 'POST' })).json()) as Record<string, unknown>
    return answer['value'] ?? answer['errorCode']
  }
  return {
    sidecar,
    log,
    value,
    served: (wanted) => until(`${wanted} is served`, async () => (await value()) === wanted),
    [Symbol.asyncDispose]: () => sidecar.close(),
  }
}

const errors = ({ log }: Watched): string[] =>
  log.filter(({ level }) => level === 'error').map(({ message }) => message)

describe('the flags file', () => {
  test('renamed over, thirty times', async () => {
    using fixture = flagsFixture(config('start'))
    await using sidecar = await watched(fixture.file)
    for (let turn = 0; turn < 30; turn++) {
      fixture.save(config(`v${turn}`))
      await sidecar.served(`v${turn}`)
    }
    expect(errors(sidecar)).toEqual([])
  })

  test('overwritten in place, thirty times, with nothing reported', async () => {
    using fixture = flagsFixture(config('start'))
    await using sidecar = await watched(fixture.file)
    for (let turn = 0; turn < 30; turn++) {
      fixture.overwrite(config(`v${turn}`))
      await sidecar.served(`v${turn}`)
    }
    expect(errors(sidecar)).toEqual([])
  })

  test('an older backup moved back, and one copied back with its mtime', async () => {
    using fixture = flagsFixture(config('old'))
    const backup = join(fixture.directory, 'backup')
    const old = new Date('2020-01-01')
    writeFileSync(backup, text('old'))
    utimesSync(backup, old, old)
    await using sidecar = await watched(fixture.file)
    fixture.save(config('new'))
    await sidecar.served('new')
    copyFileSync(backup, fixture.file)
    utimesSync(fixture.file, old, old)
    await sidecar.served('old')
    fixture.save(config('new'))
    await sidecar.served('new')
    renameSync(backup, fixture.file)
    await sidecar.served('old')
  })

  test('an mtime in the future, then a normal save', async () => {
    using fixture = flagsFixture(config('old'))
    await using sidecar = await watched(fixture.file)
    fixture.save(config('future'), new Date('2090-01-01'))
    await sidecar.served('future')
    fixture.save(config('now'))
    await sidecar.served('now')
  })

  test('the same size and mtime with another content', async () => {
    using fixture = flagsFixture(config('aaa'))
    const at = new Date('2024-01-01')
    utimesSync(fixture.file, at, at)
    await using sidecar = await watched(fixture.file)
    fixture.save(config('bbb'), at)
    await sidecar.served('bbb')
    fixture.overwrite(config('ccc'))
    utimesSync(fixture.file, at, at)
    await sidecar.served('ccc')
  })

  test.each([500, 3_000])('deleted, and made again after %i ms', async (pause) => {
    using fixture = flagsFixture(config('old'))
    await using sidecar = await watched(fixture.file)
    rmSync(fixture.file)
    await delay(pause)
    expect(await sidecar.value()).toBe('old')
    fixture.overwrite(config('new'))
    await sidecar.served('new')
    expect(errors(sidecar)).toHaveLength(1)
    expect(errors(sidecar)[0]).toBe(
      `"${fixture.file}" no longer exists: the last good flags stay in force until it is back.`,
    )
  })

  test('its directory deleted and made again', async () => {
    using fixture = flagsFixture(config('unused'))
    const directory = join(fixture.directory, 'deep')
    const file = join(directory, 'flags.json')
    mkdirSync(directory)
    writeFileSync(file, text('old'))
    await using sidecar = await watched(file)
    rmSync(directory, { recursive: true })
    await delay(200)
    mkdirSync(directory)
    writeFileSync(file, text('new'))
    await sidecar.served('new')
    writeFileSync(file, text('newer'))
    await sidecar.served('newer')
  })

  test('a ConfigMap: the symlink to the directory swapped, ten times', async () => {
    using fixture = flagsFixture(config('unused'))
    const { directory } = fixture
    const publish = (turn: number): void => {
      mkdirSync(join(directory, `..${turn}`))
      writeFileSync(join(directory, `..${turn}`, 'which.json'), text(`v${turn}`))
      symlinkSync(`..${turn}`, join(directory, '..data_tmp'))
      renameSync(join(directory, '..data_tmp'), join(directory, '..data'))
      rmSync(join(directory, `..${turn - 1}`), { recursive: true, force: true })
    }
    publish(0)
    symlinkSync(join('..data', 'which.json'), join(directory, 'which.json'))
    await using sidecar = await watched(join(directory, 'which.json'))
    expect(await sidecar.value()).toBe('v0')
    for (let turn = 1; turn <= 10; turn++) {
      publish(turn)
      await sidecar.served(`v${turn}`)
    }
  })

  test('a symlink whose target is written in place, elsewhere', async () => {
    using fixture = flagsFixture(config('unused'))
    using target = flagsFixture(config('old'))
    const link = join(fixture.directory, 'link.json')
    symlinkSync(target.file, link)
    await using sidecar = await watched(link)
    target.overwrite(config('new'))
    await sidecar.served('new')
    target.save(config('newer'))
    await sidecar.served('newer')
  })

  test('broken: the last good flags stay, and each broken content is reported once', async () => {
    using fixture = flagsFixture(config('good'))
    await using sidecar = await watched(fixture.file)
    fixture.save('{"flags": {')
    await until('the error is reported', () => errors(sidecar).length > 0)
    await delay(300)
    expect(await sidecar.value()).toBe('good')
    expect(errors(sidecar)).toHaveLength(1)
    expect(errors(sidecar)[0]).toMatch(
      /^"flags.json" is not JSON.*; the last good flags stay in force until it is corrected$/,
    )
    fixture.save({ flags: { which: { variants: {}, defaultVariant: 'x' } } })
    await until('the next error is reported', () => errors(sidecar).length > 1)
    expect(errors(sidecar)[1]).toBe(
      '"flags.json" has a defaultVariant "x" that is not a variant of the flag "which"; the last good flags stay in force until it is corrected',
    )
    fixture.save(config('mended'))
    await sidecar.served('mended')
  })

  test('a write that pauses half way is not called broken when it was quick', async () => {
    using fixture = flagsFixture(config('old'))
    await using sidecar = await watched(fixture.file)
    for (let i = 0; ; i++) {
      const told = errors(sidecar).length
      const handle = openSync(fixture.file, 'w')
      const began = performance.now()
      writeSync(handle, text(`new ${i}`).slice(0, 15))
      await delay(30)
      writeSync(handle, text(`new ${i}`).slice(15))
      closeSync(handle)
      const pause = performance.now() - began
      await sidecar.served(`new ${i}`)
      await delay(150)
      // On a busy machine the pause may have been a long one.
      if (pause > 60) continue
      expect(errors(sidecar).slice(told)).toEqual([])
      break
    }
  })

  test('missing at the start', async () => {
    const error = await startSidecar({ file: '/no/such/flags.json', ports: FREE }).catch(String)
    const thrown = await startSidecar({ file: '/no/such/flags.json' }).catch((e: unknown) => e)
    expect(error).toContain('"/no/such/flags.json"')
    expect(isSwitchbackError(thrown) && thrown.code).toBe('SB_FLAGS_FILE_MISSING')
    using empty = flagsFixture(config('unused'))
    rmSync(empty.file)
    const nothing = await startSidecar({ file: empty.directory }).catch((e: unknown) => e)
    expect(isSwitchbackError(nothing) && nothing.code).toBe('SB_FLAGS_FILE_MISSING')
  })
})

describe('a directory of flags files', () => {
  test('is merged by name, the later winning, and watched', async () => {
    using fixture = flagsFixture(config('flags'))
    writeFileSync(join(fixture.directory, 'notes.txt'), 'not flags')
    await using sidecar = await watched(fixture.directory)
    expect(await sidecar.value()).toBe('flags')
    writeFileSync(join(fixture.directory, 'zz.json'), text('later'))
    await sidecar.served('later')
    writeFileSync(join(fixture.directory, 'aa.json'), text('earlier'))
    writeFileSync(join(fixture.directory, 'zz.json'), text('changed in place'))
    await sidecar.served('changed in place')
    rmSync(join(fixture.directory, 'zz.json'))
    await sidecar.served('flags')
    fixture.save('broken')
    await until('the error is reported', () => errors(sidecar).length > 0)
    expect(await sidecar.value()).toBe('flags')
  })

  test('left without any: the last good flags stay, and one line names the directory', async () => {
    using fixture = flagsFixture(config('old'))
    const { directory } = fixture
    writeFileSync(join(directory, 'other.json'), JSON.stringify({ flags: { other: flag('x') } }))
    await using sidecar = await watched(directory)
    for (const name of readdirSync(directory)) rmSync(join(directory, name))
    await until('the error is reported', () => errors(sidecar).length > 0)
    await delay(300)
    expect(await sidecar.value()).toBe('old')
    expect(errors(sidecar)).toEqual([
      `The directory "${directory}" has no *.json file any more: the last good flags stay in force until it has one.`,
    ])
    rmSync(directory, { recursive: true })
    await until('the next error is reported', () => errors(sidecar).length > 1)
    expect(errors(sidecar)[1]).toContain(`"${directory}" no longer exists`)
    expect(await sidecar.value()).toBe('old')
    mkdirSync(directory)
    fixture.save(config('new'))
    await sidecar.served('new')
  })
})

test('whatever happens to the file, the watch ends at its last content', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.constantFrom('save', 'overwrite', 'old', 'remove', 'pause', 'link'), {
        maxLength: 12,
      }),
      async (steps) => {
        using fixture = flagsFixture(config('start'))
        await using sidecar = await watched(fixture.file)
        let turn = 0
        for (const step of steps) {
          const name = `v${++turn}`
          if (step === 'save') fixture.save(config(name))
          if (step === 'overwrite') fixture.overwrite(config(name))
          if (step === 'old') fixture.save(config(name), new Date(turn * 1_000))
          if (step === 'remove') rmSync(fixture.file, { force: true })
          if (step === 'pause') await delay(turn * 3)
          if (step === 'link') {
            const target = join(fixture.directory, name)
            writeFileSync(target, text(name))
            rmSync(fixture.file, { force: true })
            symlinkSync(target, fixture.file)
          }
        }
        fixture.save(config('last'))
        await sidecar.served('last')
      },
    ),
    { numRuns: 25 },
  )
})

test('without any notice of the system, the poll sees a change', async () => {
  using fixture = flagsFixture(config('old'))
  let looks = 0
  const watch = new FileWatch({
    path: fixture.file,
    pollMs: 5,
    notices: false,
    onChange: () => Promise.resolve(void looks++),
  })
  try {
    await watch.check()
    const before = looks
    utimesSync(fixture.file, new Date(1), new Date(1))
    await until('it looked', () => looks > before)
    const quiet = looks
    await delay(60)
    expect(looks).toBe(quiet)
  } finally {
    watch.close()
  }
})
