import { expect, it } from 'vitest'
import { flagsFile, usual } from '../rollout/support.ts'
import { runCommand } from '../support/run-command.ts'

const rule = usual.replace(
  '{ "fractional"',
  '{ "if": [{ "in": [{ "var": "plan" }, ["beta"]] }, "on", { "fractional"',
)
const withPlan = rule.replace(']] }\n', ']] }] }\n')

it('says in a line each who is listed twice, and what the rule reads that no user has', async () => {
  const file = await flagsFile(withPlan)
  const argv = ['preview', '25', '--file', file, '--users', '-']
  const { code, stdout } = await runCommand(argv, { input: 'a\nb\na\n' })
  expect(code).toBe(0)
  expect(stdout).toMatch(/users +2 in /)
  expect(stdout).toMatch(/repeated +1 line names a user again, who is counted once/)
  expect(stdout).toMatch(/lacking +no user has "plan", which the rule reads: give users with it/)
  const whole = await runCommand(argv, { input: '{"targetingKey":"a","plan":"x"}\nb\n' })
  expect(whole.stdout).not.toMatch(/repeated|lacking/)
  const json = await runCommand([...argv, '--json'], { input: 'a\na\n' })
  expect(JSON.parse(json.stdout)).toMatchObject({ users: 1, repeated: 1, lacking: ['plan'] })
})
