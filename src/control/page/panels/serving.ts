import type { ControlState } from '../../state/state.ts'
import { byId, h, setAttribute, whenChanged } from '../dom.ts'
import { percentText } from '../page-format.ts'
import { sideName } from '../side-name.ts'

/** Which users are served by which side: according to the file, flagd and the traffic. */
export function serving(): { update(state: ControlState): void } {
  const off = h('b', { class: 'side-off', id: 'share-off' })
  const on = h('b', { class: 'side-on', id: 'share-on' })
  const fill = h('div', { class: 'fill' })
  const bar = h('div', { class: 'splitbar', role: 'img' }, fill)
  const facts = h('div', { class: 'facts' })
  byId('serving').append(h('div', { class: 'serving-numbers' }, on, off), bar, facts)

  return {
    update({ flag, fleet, point, processes, wayBack }) {
      const { description, error } = flag
      const disabled = description?.state === 'DISABLED'
      const share = disabled ? 0 : description?.share
      const known = share !== undefined
      // Not to be taken for what users get.
      const apart = wayBack.state === 'not-back'
      const problem = description?.problem ?? ''
      const where = apart || problem !== '' ? ', in the file' : ''
      const names = {
        on: sideName('on', fleet.backends.on) + where,
        off: sideName('off', fleet.backends.off) + where,
      }
      whenChanged(on, `${share} ${names.on}`, () => [
        known ? `${percentText(share)} ` : '? ',
        h('small', {}, names.on),
      ])
      whenChanged(off, `${share} ${names.off}`, () => [
        known ? `${percentText(100 - share)} ` : '? ',
        h('small', {}, names.off),
      ])
      fill.style.width = `${share ?? 0}%`
      setAttribute(fill, 'data-zero', String((share ?? 0) === 0))
      setAttribute(
        bar,
        'aria-label',
        `${percentText(share)} of the users are routed to the new side, the others to the old side`,
      )
      const seen = point[2]
      const pilots = description?.pilots ?? 0
      const key = JSON.stringify([
        flag.served.state,
        flag.served.detail,
        error?.code,
        problem,
        disabled,
        pilots,
        processes.agreeing,
        processes.known,
        processes.untold,
        apart,
      ])
      whenChanged(facts, `${key} ${seen === null ? '' : Math.round((seen ?? 0) * 10)}`, () => [
        fileFact(error, problem, disabled),
        servedFact(flag.served),
        ...processFact(processes),
        h(
          'span',
          { class: apart ? 'fact tick-bad' : 'fact' },
          'operations on the new side ',
          h('b', {}, seenText(seen)),
        ),
        ...(pilots > 0
          ? [h('span', { class: 'fact' }, `and ${pilots} pilot${pilots === 1 ? '' : 's'} first`)]
          : []),
      ])
      setAttribute(facts, 'title', description?.sentence ?? '')
    },
  }
}

function seenText(seen: number | null | undefined): string {
  return seen === null || seen === undefined ? '\u2013' : `${seen.toFixed(1)} %`
}

function fileFact(error: ControlState['flag']['error'], problem: string, disabled: boolean): Node {
  const wrong = error === null ? problem : `the file cannot be read: ${error.message}`
  if (wrong !== '') {
    return h('span', { class: 'fact tick-bad' }, h('b', {}, '\u2717 '), wrong)
  }
  return disabled
    ? h('span', { class: 'fact tick-watch' }, 'the flag is disabled: all users are on the old side')
    : h('span', { class: 'fact' }, 'as the file has it')
}

/** The text for what flagd serves. */
export function servedText({ state, detail, agreeing, probes }: ControlState['flag']['served']): {
  readonly tone: 'ok' | 'watch' | 'bad'
  readonly text: string
} {
  switch (state) {
    case 'same':
      return { tone: 'ok', text: 'flagd serves it' }
    case 'different':
      return {
        tone: 'bad',
        text: `flagd serves something else (${agreeing} of ${probes} probes agree)`,
      }
    case 'unreachable':
      return { tone: 'watch', text: 'flagd does not answer' }
    case 'unasked':
      return { tone: 'watch', text: 'flagd is not asked' }
    default:
      return {
        tone: 'watch',
        text: detail === '' ? 'asking flagd' : `flagd cannot be asked: ${detail}`,
      }
  }
}

/** The text for what the processes decide. */
export function processText({ known, agreeing, untold, list }: ControlState['processes']): {
  readonly tone: 'ok' | 'watch' | 'bad'
  readonly text: string
} {
  const text = `${agreeing} of ${known} ${known === 1 ? 'process' : 'processes'} decide it`
  if (agreeing === known) return { tone: 'ok', text }
  const silent = list.filter((each) => each.silent).length
  if (silent > 0 && agreeing + silent === known) {
    return { tone: 'watch', text: `${text}, ${silent} ${silent === 1 ? 'does' : 'do'} not answer` }
  }
  return agreeing + untold === known
    ? { tone: 'watch', text: `${text}, ${untold} do not report it` }
    : { tone: 'bad', text }
}

function processFact(processes: ControlState['processes']): Node[] {
  if (processes.known === 0) return []
  const { tone, text } = processText(processes)
  const causes = processes.list.filter(({ agrees }) => !agrees)
  const title = causes.map(({ process, cause }) => `${process} ${cause}`).join('; ')
  const mark = { ok: '\u2713 ', watch: '? ', bad: '\u2717 ' }[tone]
  return [h('span', { class: `fact tick-${tone}`, title }, h('b', {}, mark), text)]
}

function servedFact(served: ControlState['flag']['served']): Node {
  const { tone, text } = servedText(served)
  const mark = { ok: '\u2713 ', watch: '? ', bad: '\u2717 ' }[tone]
  return h('span', { class: `fact tick-${tone}`, title: served.detail }, h('b', {}, mark), text)
}
