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
  start: {
    group: groups.run,
    summary: 'the reference service, on the flags and the Redis that it finds',
    load: () => import('./commands/start.ts'),
  },
  demo: {
    group: groups.run,
    summary: 'five users, a rollout by editing the flags file, and the way back',
    load: () => import('./commands/demo.ts'),
  },
  control: {
    group: groups.run,
    summary: 'the control page: both sides live, the split, and one click back',
    load: () => import('./commands/control.ts'),
  },
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
    summary: 'sets the share of users on the new side, and waits until every process confirms it',
    load: () => import('./commands/set.ts'),
  },
  rollback: {
    group: groups.rollout,
    summary: 'routes everyone to the old side now, and waits until every process confirms it',
    load: () => import('./commands/rollback.ts'),
  },
  guard: {
    group: groups.rollout,
    summary: 'compares both sides and widens, holds or takes back by itself',
    load: () => import('./commands/guard.ts'),
  },
  undo: {
    group: groups.rollout,
    summary: 'takes the last change back, as a new change',
    load: () => import('./commands/undo.ts'),
  },
  pilot: {
    group: groups.rollout,
    summary: 'routes chosen users to the new side whatever the split says, or no longer',
    load: () => import('./commands/pilot.ts'),
  },
  preview: {
    group: groups.check,
    summary: 'who would join and who would leave; writes nothing',
    load: () => import('./commands/preview.ts'),
  },
  explain: {
    group: groups.check,
    summary: 'which side one user gets, and which line of the file decided it',
    load: () => import('./commands/explain.ts'),
  },
  diff: {
    group: groups.check,
    summary: 'who joins and who leaves between two flags files',
    load: () => import('./commands/diff.ts'),
  },
  validate: {
    group: groups.check,
    summary: 'errors that flagd rejects, and rules that do not do what they seem to',
    load: () => import('./commands/validate.ts'),
  },
  history: {
    group: groups.check,
    summary: 'who changed what and when',
    load: () => import('./commands/history.ts'),
  },
  watch: {
    group: groups.check,
    summary: 'the split, flagd and both sides, live in the terminal',
    load: () => import('./commands/watch.ts'),
  },
  doctor: {
    group: groups.check,
    summary: 'checks the setup for common problems, with the remedies',
    load: () => import('./commands/doctor.ts'),
  },
  completion: {
    group: groups.check,
    summary: 'prints the completion script for bash, zsh or fish',
    load: () => import('./commands/completion.ts'),
  },
}
