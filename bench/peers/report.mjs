import { cpuOver, cpuTimes, throughputShare } from '../measure.mjs'

/**
 * One table of the report: costs an operation, beside those of the contender called `reference`.
 * Differences and shares are medians over the rounds, each taken within its round.
 */
export function costTable(title, results, reference) {
  const base = results.find(({ name }) => name === reference)
  return {
    title,
    headings: ['contender', 'CPU us', 'spread', 'over', 'wall us', 'ops/s', 'of ref.'],
    rows: results.map((one) => [
      one.name,
      digits(one.cpuUs),
      one.cpuSpread,
      one === base ? 'ref.' : signed(cpuOver(one, base)),
      digits(one.wallUs),
      Math.round(one.perSecond).toLocaleString('en'),
      one === base ? 'ref.' : percent(throughputShare(one, base)),
    ]),
  }
}

/** One line of the list of aims. */
export const aim = (measure, wanted, figure, met) => ({ measure, wanted, figure, met })

/** CPU beside that of others in the same rounds, of which all are done together. */
export function timesAim(measure, most, one, ...references) {
  const times = cpuTimes(one, ...references)
  const beside = references.map(({ name }) => name).join(' and ')
  return aim(measure, `<= ${most} x (${beside})`, `${times.toFixed(2)} x`, times <= most)
}

export const digits = (us) => us.toFixed(us < 10 ? 2 : 1)
export const signed = (us) => `${us < 0 ? '' : '+'}${digits(us)}`
export const percent = (share) => `${(share * 100).toFixed(share < 0.1 ? 1 : 0)} %`

/** The result of that name. */
export const named = (results, name) => results.find((one) => one.name === name)

/** The cheapest of the library peers, by CPU or wall time an operation. */
export function best(results, names, by) {
  return names.map((name) => named(results, name)).sort((a, b) => a[by] - b[by])[0]
}
