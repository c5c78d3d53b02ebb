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
  status: {
    group: groups.rollout,
    summary: 'the split, who gets what, and whether flagd serves it',
    load: () => import('./commands/status.ts'),
  },
}
