/**
 * The command line: the only room that uses argv, exit codes, signals and the environment. A
 * command is a module of `commands/` and a line in the table of `commands.ts`.
 */
export {
  type Command,
  type CommandIo,
  type Environment,
  exitCode,
  usageError,
} from './framework/command.ts'
export { type CommandSpec, defineCommand } from './framework/define.ts'
export { main, type MainOptions } from './main.ts'
