import { readFileSync } from 'node:fs'
import { parse } from 'yaml'
import type { ComposeFile } from './compose-schema.ts'

export const ROOT: URL = new URL('../../', import.meta.url)

export function read(path: string): string {
  return readFileSync(new URL(path, ROOT), 'utf8')
}

export function composeFile(): ComposeFile {
  return parse(read('docker-compose.yml'), { merge: true }) as ComposeFile
}

/** One instruction of a Dockerfile, continuation lines joined. */
export interface Instruction {
  readonly word: string
  readonly rest: string
}

export function dockerfile(): readonly Instruction[] {
  return read('Dockerfile')
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [word = '', ...rest] = line.trim().split(/\s+/)
      return { word, rest: rest.join(' ') }
    })
}

/** The last stage: what runs. */
export function finalStage(): readonly Instruction[] {
  const all = dockerfile()
  return all.slice(all.findLastIndex(({ word }) => word === 'FROM'))
}

/** The `CMD [...]` of an instruction in its exec form. */
export function execForm(rest: string): string[] {
  return JSON.parse(rest.slice(rest.indexOf('['))) as string[]
}
