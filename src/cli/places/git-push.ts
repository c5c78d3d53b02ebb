import { stripVTControlCharacters } from 'node:util'
import { SwitchbackError } from '../../errors.ts'
import type { Git, GitAnswer } from './git.ts'

export interface Push {
  readonly remote: string
  /** From where to where, e.g. `HEAD:refs/heads/main`. */
  readonly refspec: string
  /** The file that is pushed, for a message. */
  readonly file: string
  /** Ask only, change nothing. */
  readonly dryRun?: boolean
}

/**
 * @throws {SwitchbackError} `SB_FLAGS_CHANGED` when somebody was faster; `SB_GIT_FAILED`, with the
 * words of the hook when one refuses
 */
export async function push(git: Git, { remote, refspec, file, dryRun }: Push): Promise<void> {
  const how = dryRun === true ? ['--dry-run'] : []
  const answer = await git.run(['push', '--quiet', '--porcelain', ...how, remote, refspec])
  if (answer.code === 0) return
  const why = reasonOf(answer)
  // The line of --porcelain is of git itself; what a hook prints cannot be taken for it.
  const line = answer.stdout.split('\n').find((each) => each.startsWith('!')) ?? ''
  const isBehind = line.includes('\t[rejected] (')
  if (isBehind || isRace(line, answer.stderr)) {
    const when = isBehind ? 'meanwhile' : `at the same moment: ${why}`
    throw new SwitchbackError('SB_FLAGS_CHANGED', `somebody pushed to ${remote} ${when}`, {
      hint: 'nothing was written; run git pull, look at switchback status and try again',
    })
  }
  throw new SwitchbackError('SB_GIT_FAILED', `cannot push ${file} to ${remote}: ${why}`, {
    hint: 'nothing was written; check the network, your rights and the rules of the branch',
  })
}

/** Two pushes that the remote had at once; a hook that refuses has a line of its own. */
function isRace(line: string, stderr: string): boolean {
  if (!line.includes('\t[remote rejected] (') || /hook declined/.test(line)) return false
  return /cannot lock ref|incorrect old value|reference already exists/.test(line + stderr)
}

/** All that a hook or the remote said, on one line. */
function reasonOf({ stdout, stderr }: GitAnswer): string {
  const said = stripVTControlCharacters(stderr)
    .split('\n')
    .filter((each) => !/^(hint:|To |error: failed to push some refs)/.test(each))
    .map((each) =>
      each
        .replace(/^remote:/, '')
        .replace(/^ *(fatal|error):/, '')
        .trim(),
    )
    .filter((each) => each !== '')
  const told = /^!.*\t(\[[^\n]*)$/m.exec(stdout)?.[1]
  const text = [...said, ...(told === undefined ? [] : [told])].join('; ')
  if (text !== '') return text.slice(0, 400)
  return 'git push failed and printed no reason; a pre-push hook may have refused it'
}
