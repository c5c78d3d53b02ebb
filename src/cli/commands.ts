import type { Command } from './command.ts'

/** A line of the command table; the module is loaded only when its command runs. */
export interface CommandEntry {
  readonly group: (typeof groups)[keyof typeof groups]
  readonly summary: string
  load(): Promise<{ readonly command: Command }>
}

const groups = {
  run: 'Run',
  rollout: 'Roll out and back',
  check: 'Look and check',
} as const

/** Every command of `switchback`, in the order of its help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  sidecar: {
    group: groups.run,
    summary: 'serves a flags file as flagd does, for laptops and tests',
    load: () => import('./commands/sidecar.ts'),
  },
  status: {
    group: groups.rollout,
    summary: 'the split, who gets what, and whether flagd serves it',
    load: () => import('./commands/status.ts'),
  },
  set: {
    group: groups.rollout,
    summary: 'sets the share of users who are on, and waits until flagd serves it',
    load: () => import('./commands/set.ts'),
  },
  rollback: {
    group: groups.rollout,
    summary: 'takes everybody back to off in one go, and tells when the last one was',
    load: () => import('./commands/rollback.ts'),
  },
}
