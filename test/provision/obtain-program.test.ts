import { existsSync } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import {
  chromium,
  findProgram,
  obtainProgram,
  type Program,
} from '../../src/cli/provision/index.ts'
import { fakeMachine, type FakeMachine } from './support.ts'

const THING: Program = {
  title: 'thing',
  names: ['thing'],
  override: 'THING_PATH',
  aptPackage: 'thing-package',
}

/**
 * apt-get as it behaves: says what it does on stdout, errors on stderr with `E: ` and exit code 100,
 * and asks the policy file before it starts a service.
 */
async function putApt(machine: FakeMachine, install: string, update = 'exit 0'): Promise<void> {
  const { root, policyFile } = machine
  await machine.put(
    'apt-get',
    `echo "$DEBIAN_FRONTEND|$*" >>${root}/log
case "$*" in
  *" update "*) ${update} ;;
  *" install "*)
    if [ -x ${policyFile} ]; then ${policyFile}; echo "policy $?" >>${root}/log
    else echo "service started" >>${root}/log; fi
    ${install} ;;
esac`,
  )
}

const makeProgram = (machine: FakeMachine): string =>
  `printf '#!/bin/sh\\n' >${machine.bin}/thing; /bin/chmod +x ${machine.bin}/thing`

describe('findProgram', () => {
  it('takes the first name that is there, and only what can be run', async () => {
    const machine = await fakeMachine()
    await writeFile(join(machine.bin, 'not-executable'), '')
    const second = await machine.put('second', 'exit 0')
    expect(findProgram(['not-executable', 'bin', 'second'], machine.env)).toBe(second)
    expect(findProgram(['not-executable'], machine.env)).toBeUndefined()
    expect(findProgram(['second'], {})).toBeUndefined()
    expect(findProgram(['bin'], { PATH: machine.root })).toBeUndefined()
  })
})

async function reasonWithout(machine: FakeMachine, root: boolean): Promise<string> {
  const { env, policyFile } = machine
  const program = { ...THING, aptPackage: 'nothing' }
  const thing = await obtainProgram(program, { env, policyFile, root })
  return thing.path === undefined ? thing.reason : ''
}

describe('obtainProgram', () => {
  it('uses what is on PATH and installs nothing', async () => {
    const machine = await fakeMachine()
    await putApt(machine, 'exit 0')
    const path = await machine.put('thing', 'exit 0')
    const thing = await obtainProgram(THING, { env: machine.env, root: true })
    expect(thing).toEqual({ path, installed: false })
    expect(await machine.log()).toEqual([])
  })

  it('installs the package as root, says so in one line, and starts no service', async () => {
    const machine = await fakeMachine()
    await putApt(machine, makeProgram(machine))
    const said: string[] = []
    const thing = await obtainProgram(THING, {
      env: machine.env,
      policyFile: machine.policyFile,
      root: true,
      say: (line) => said.push(line),
    })
    expect(thing).toEqual({ path: join(machine.bin, 'thing'), installed: true })
    expect(said).toEqual([
      'installing thing-package with apt-get (SWITCHBACK_NO_INSTALL=1 forbids it)',
    ])
    expect(await machine.log()).toEqual([
      'noninteractive|-o DPkg::Lock::Timeout=120 update -qq',
      'noninteractive|-o DPkg::Lock::Timeout=120 install -y --no-install-recommends thing-package',
      'policy 101',
    ])
    expect(existsSync(machine.policyFile)).toBe(false)
  })

  it("leaves an administrator's own policy as it is", async () => {
    const machine = await fakeMachine()
    await putApt(machine, makeProgram(machine))
    await writeFile(machine.policyFile, '#!/bin/sh\nexit 104\n', { mode: 0o755 })
    const { env, policyFile } = machine
    await obtainProgram(THING, { env, policyFile, root: true })
    expect(await machine.log()).toContain('policy 104')
    expect(await readFile(policyFile, 'utf8')).toContain('exit 104')
  })

  it.each([
    ['1', true],
    ['true', true],
    ['0', false],
    ['', false],
  ])('SWITCHBACK_NO_INSTALL=%s forbids: %s', async (value, forbidden) => {
    const machine = await fakeMachine()
    await putApt(machine, makeProgram(machine))
    const thing = await obtainProgram(THING, {
      env: { ...machine.env, SWITCHBACK_NO_INSTALL: value },
      policyFile: machine.policyFile,
      root: true,
    })
    expect(thing.path === undefined).toBe(forbidden)
    if (forbidden) {
      expect(thing).toMatchObject({
        reason: 'no thing on PATH, and SWITCHBACK_NO_INSTALL forbids installing it',
      })
      expect(await machine.log()).toEqual([])
    }
  })

  it('gives the reason when it may not, cannot, or fails', async () => {
    const bare = await fakeMachine()
    expect(await reasonWithout(bare, true)).toBe('no thing on PATH, and no apt-get to install it')

    const broken = await fakeMachine()
    await putApt(
      broken,
      'echo "Reading package lists..."; echo "E: Unable to locate package nothing" >&2; exit 100',
    )
    expect(await reasonWithout(broken, false)).toBe(
      'no thing on PATH, and installing it needs root',
    )
    expect(await reasonWithout(broken, true)).toBe(
      'no thing on PATH, and apt-get failed: E: Unable to locate package nothing',
    )
    expect(existsSync(broken.policyFile)).toBe(false)

    const offline = await fakeMachine()
    const noNetwork = 'echo "E: Temporary failure resolving the archive" >&2; exit 100'
    await putApt(offline, 'echo "E: Unable to locate package nothing" >&2; exit 100', noNetwork)
    expect(await reasonWithout(offline, true)).toContain('Temporary failure resolving')

    const hollow = await fakeMachine()
    await putApt(hollow, 'exit 0')
    expect(await reasonWithout(hollow, true)).toBe(
      'no thing on PATH, though apt-get installed nothing',
    )
  })
})

describe('chromium', () => {
  it('takes CHROMIUM_PATH first, then whichever name is there', async () => {
    const machine = await fakeMachine()
    const chrome = await machine.put('google-chrome', 'exit 0')
    expect(await obtainProgram(chromium, { env: machine.env })).toMatchObject({ path: chrome })
    const env = { ...machine.env, CHROMIUM_PATH: '/opt/mine/chrome' }
    expect(await obtainProgram(chromium, { env })).toEqual({
      path: '/opt/mine/chrome',
      installed: false,
    })
  })
})
