import type { Command } from './framework/command.ts'

/** A line of the command table; the module is loaded only when its command runs. */
export interface CommandEntry {
  readonly group: (typeof groups)[keyof typeof groups]
  readonly summary: string
  load(): Promise<{ readonly command: Command }>
}

const groups = {
  run: 'Run',
  rollout: 'Roll out and roll back',
  check: 'Inspect and check',
} as const

/** Every command of `switchback`, in the order of its help. */
export const commands: Readonly<Record<string, CommandEntry>> = {
  init: {
    group: groups.run,
    summary: 'begins: a flags file, a compose file, and the code for the framework that it finds',
    load: () => import('./commands/run/init.ts'),
  },
  start: {
    group: groups.run,
    summary: 'runs the reference service with the flags and the Redis that it finds',
    load: () => import('./commands/run/start.ts'),
  },
  demo: {
    group: groups.run,
    summary: 'shows a rollout and a rollback of five users',
    load: () => import('./commands/run/demo.ts'),
  },
  control: {
    group: groups.run,
    summary: 'serves the control page: both sides live, the split, rollback by one click',
    load: () => import('./commands/run/control.ts'),
  },
  sidecar: {
    group: groups.run,
    summary: 'serves a flags file as flagd does, for laptops and tests',
    load: () => import('./commands/run/sidecar.ts'),
  },
  status: {
    group: groups.rollout,
    summary: 'shows the split, and whether flagd and the processes follow it',
    load: () => import('./commands/rollout/status.ts'),
  },
  set: {
    group: groups.rollout,
    summary: 'sets the share of users on the new side, and waits until every process confirms it',
    load: () => import('./commands/rollout/set.ts'),
  },
  rollback: {
    group: groups.rollout,
    summary: 'routes everyone to the old side now, and waits until every process confirms it',
    load: () => import('./commands/rollout/rollback.ts'),
  },
  guard: {
    group: groups.rollout,
    summary: 'compares both sides, and widens, holds or rolls back by itself',
    load: () => import('./commands/rollout/guard.ts'),
  },
  copy: {
    group: groups.rollout,
    summary: 'copies what is alive on one side to the other, before or after a flip, under traffic',
    load: () => import('./commands/rollout/copy.ts'),
  },
  undo: {
    group: groups.rollout,
    summary: 'undoes the last change, as a new change',
    load: () => import('./commands/rollout/undo.ts'),
  },
  migrate: {
    group: groups.rollout,
    summary: 'does a step into or out of a migration, once every process is ready for it',
    load: () => import('./commands/rollout/migrate.ts'),
  },
  pilot: {
    group: groups.rollout,
    summary: 'always (or no longer) routes chosen users to the new side',
    load: () => import('./commands/rollout/pilot.ts'),
  },
  preview: {
    group: groups.check,
    summary: 'shows which users would move; writes nothing',
    load: () => import('./commands/check/preview.ts'),
  },
  explain: {
    group: groups.check,
    summary: 'shows which side one user gets, and which line of the file decides it',
    load: () => import('./commands/check/explain.ts'),
  },
  diff: {
    group: groups.check,
    summary: 'shows which users move between two flags files',
    load: () => import('./commands/check/diff.ts'),
  },
  validate: {
    group: groups.check,
    summary: 'finds errors that flagd rejects, and rules that do not do what they seem to',
    load: () => import('./commands/check/validate.ts'),
  },
  history: {
    group: groups.check,
    summary: 'shows who changed what, and when',
    load: () => import('./commands/check/history.ts'),
  },
  report: {
    group: groups.rollout,
    summary: "writes a rollout's post-mortem as Markdown, from the history and the guard's journal",
    load: () => import('./commands/rollout/report.ts'),
  },
  watch: {
    group: groups.check,
    summary: 'shows the split, flagd and both sides, live in the terminal',
    load: () => import('./commands/check/watch.ts'),
  },
  doctor: {
    group: groups.check,
    summary: 'checks the setup for common problems',
    load: () => import('./commands/check/doctor.ts'),
  },
  completion: {
    group: groups.check,
    summary: 'prints the completion script for bash, zsh or fish',
    load: () => import('./commands/check/completion.ts'),
  },
}
