import type { Style } from '../framework/style.ts'
import type { Stack } from './stack.ts'
import type { Ask, DemoStep, UserStory } from './demo-story.ts'

export interface DemoReport {
  note(line: string): void
  opening(redis: Stack['redis']): void
  users(stories: readonly UserStory[]): void
  step(step: DemoStep, number: number): void
  ending(steps: readonly DemoStep[], seconds: number): void
}

/** The story for people, in 80 columns. */
export function demoReport(output: { write(text: string): unknown }, style: Style): DemoReport {
  const line = (text = ''): void => void output.write(`${text.trimEnd()}\n`)
  const side = (name: string, text: string): string => {
    return name === 'on' ? style.green(text) : style.yellow(text)
  }
  return {
    note: (text) => line(style.dim(text)),
    opening(redis) {
      line()
      line(style.bold('One cache, two backends, a flag in between'))
      line()
      line(`  off  files    ${style.dim('a file cache in a temporary directory')}`)
      if (redis.url === undefined) {
        line(`  on   redis   ${style.yellow('none here; the old side serves all users:')}`)
        line(`               ${style.yellow(redis.detail)}`)
      } else {
        line(`  on   redis   ${style.dim(redis.detail)}`)
      }
    },
    users(stories) {
      line()
      line(style.bold('1  Five users, "use-redis" at 50 %'))
      line()
      line(style.dim('  user     side        first time         again             value'))
      for (const { user, side: picked, first, again, value } of stories) {
        const name = side(picked, (picked === 'on' ? 'on   redis' : 'off  files').padEnd(12))
        const [once, twice] = [ask(first).padEnd(19), ask(again).padEnd(18)]
        line(`  ${user.padEnd(9)}${name}${once}${twice}${value}`)
      }
    },
    step(step, number) {
      if (number === 1) {
        line()
        line(style.bold('2  Roll out and back by editing the flags file'))
        line()
        line(style.dim('  edit           on redis      last user after   of the five'))
      }
      const edit = `${step.from} -> ${step.to} %`.padEnd(15)
      const on = `${step.on} of ${step.users}`.padEnd(14)
      const after = `${step.lastUserMs.toFixed(0).padStart(5)} ms`.padEnd(18)
      const five = step.ofTheFive.length === 0 ? 'none' : numbers(step.ofTheFive)
      line(`  ${edit}${on}${after}${five}`)
    },
    ending(steps, seconds) {
      const requests = steps.reduce((sum, step) => sum + step.requests, 0)
      const failed = steps.reduce((sum, step) => sum + step.failed, 0)
      const lost = steps.filter(({ from, to }) => to > from).reduce((sum, s) => sum + s.lost, 0)
      const verdict = failed === 0 ? style.green('all right') : style.red(`${failed} wrong`)
      line()
      line(`  ${requests.toLocaleString('en')} requests meanwhile: ${verdict}.`)
      line(`  Users moved back while the share grew: ${lost}.`)
      line()
      line(style.dim(`  ${seconds.toFixed(1)} s. Next: switchback start (in a clone: npm start)`))
    },
  }
}

function ask({ outcome, servedBy, ms }: Ask): string {
  const who = outcome === 'hit' ? 'hit' : servedBy
  return `${who.padEnd(8)}${ms.toFixed(2).padStart(6)} ms`
}

/** `user_0 user_2` as `user_0, 2`: the column is narrow. */
function numbers(users: readonly string[]): string {
  return `user ${users.map((user) => user.replace('user_', '')).join(', ')}`
}
