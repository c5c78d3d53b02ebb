/** The page's style: calm while all is well; red means act. */
export const styles: string = `
:root {
  color-scheme: light dark;
  --ground: #f3f5f7; --card: #ffffff; --ink: #17202b; --soft: #5a6675; --rule: #dfe4e9; --well: #eef1f4;
  --off: #64748b; --on: #1a66d6; --on-soft: #d9e7fb; --off-soft: #e2e7ed;
  --ok: #17794a; --watch: #9a5b00; --trouble: #c22525; --trouble-ink: #ffffff;
  --ok-soft: #e2f3ea; --watch-soft: #fdf0d8; --trouble-soft: #fdE7e5;
  --shadow: 0 1px 2px rgb(16 24 40 / 6%);
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0d1218; --card: #151c25; --ink: #e5eaf0; --soft: #95a2b2; --rule: #27313d; --well: #1d2631;
    --off: #94a3b5; --on: #5ea8ff; --on-soft: #17375f; --off-soft: #2a3542;
    --ok: #4cc38a; --watch: #efb03f; --trouble: #ff6f64; --trouble-ink: #25090a;
    --ok-soft: #12301f; --watch-soft: #392a0c; --trouble-soft: #42171a;
    --shadow: none;
  }
}
* { box-sizing: border-box; }
[hidden] { display: none !important; }
body {
  margin: 0; background: var(--ground); color: var(--ink);
  font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif;
  font-variant-numeric: tabular-nums;
}
h1, h2, p, ul, ol, dl, dd { margin: 0; padding: 0; }
ul, ol { list-style: none; }
h2 { font-size: 13px; font-weight: 600; letter-spacing: .01em; }
small { font-size: 12px; font-weight: 400; color: var(--soft); }
code, .mono { font: 12px/1.5 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
a { color: var(--on); }
.soft { color: var(--soft); }
.sr { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
:focus-visible { outline: 3px solid var(--on); outline-offset: 2px; border-radius: 4px; }
button, input { font: inherit; color: inherit; }
button { cursor: pointer; }
button:disabled { cursor: default; opacity: .55; }

.top { position: sticky; top: 0; z-index: 5; }
.bar {
  display: flex; align-items: center; gap: 14px;
  padding: 10px 20px; background: var(--card); border-bottom: 1px solid var(--rule);
}
body[data-level=trouble] .bar { background: var(--trouble-soft); border-color: var(--trouble); }
body[data-level=watch] .bar { background: var(--watch-soft); }
.lamp { flex: none; width: 18px; height: 18px; border-radius: 50%; background: var(--soft); }
body[data-level=ok] .lamp { background: var(--ok); }
body[data-level=watch] .lamp { background: var(--watch); border-radius: 4px; transform: rotate(45deg) scale(.85); }
body[data-level=trouble] .lamp { background: var(--trouble); border-radius: 3px; }
body:not([data-live=live]) .lamp { background: transparent; border: 3px dashed var(--soft); border-radius: 50%; transform: none; }
.bar-words { flex: 1; min-width: 0; }
.bar h1 { font-size: 18px; line-height: 1.3; font-weight: 650; overflow-wrap: anywhere; }
.bar-sub { color: var(--soft); font-size: 12px; display: flex; gap: 12px; flex-wrap: wrap; }
.back { flex: none; }
.rollback {
  border: 1px solid var(--trouble); background: var(--trouble); color: var(--trouble-ink); border-radius: 8px;
  padding: 7px 20px; min-width: 188px; font-weight: 650; font-size: 16px; line-height: 1.25; text-align: center;
}
.rollback small { display: block; color: inherit; font-size: 12px; opacity: .9; }
.rollback[data-idle=true] { background: transparent; color: var(--trouble); }
.rollback:hover { filter: brightness(1.07); }
.back-result { padding: 10px 20px; border-bottom: 1px solid var(--rule); background: var(--well); }
.back-result[data-outcome=done] { background: var(--ok-soft); }
.back-result[data-outcome=unconfirmed] { background: var(--watch-soft); }
.back-result[data-outcome=failed] { background: var(--trouble-soft); }
.back-result strong { font-size: 15px; }
.back-result .row { display: flex; gap: 12px; align-items: baseline; flex-wrap: wrap; }
.back-result .close { margin-left: auto; }

main { max-width: 1480px; margin: 0 auto; padding: 14px 20px 20px; display: grid; gap: 14px; }
.findings { display: flex; flex-wrap: wrap; gap: 6px 10px; font-size: 13px; }
.findings li { padding: 2px 10px; border-radius: 12px; background: var(--well); }
.findings li[data-level=trouble] { background: var(--trouble-soft); color: var(--trouble); }
.findings li[data-level=watch] { background: var(--watch-soft); color: var(--watch); }
.strip { display: grid; grid-template-columns: 3fr 2fr; gap: 14px; }
.columns { display: grid; grid-template-columns: minmax(0, 3fr) minmax(0, 2fr); gap: 14px; align-items: start; }
.column { display: grid; gap: 14px; min-width: 0; }
.card { background: var(--card); border: 1px solid var(--rule); border-radius: 10px; padding: 12px 16px 14px; box-shadow: var(--shadow); min-width: 0; }
.card > h2, .card-head { margin-bottom: 10px; }
.card-head { display: flex; justify-content: space-between; align-items: center; gap: 12px; }
.chip { font-size: 12px; padding: 1px 9px; border-radius: 10px; background: var(--well); color: var(--soft); white-space: nowrap; }
.chip:empty { display: none; }
.chip[data-tone=ok] { background: var(--ok-soft); color: var(--ok); }
.chip[data-tone=watch] { background: var(--watch-soft); color: var(--watch); }
.chip[data-tone=trouble] { background: var(--trouble-soft); color: var(--trouble); }

.serving-numbers { display: flex; justify-content: space-between; align-items: baseline; gap: 10px; }
.serving-numbers b { font-size: 24px; line-height: 1.1; font-weight: 650; }
.serving-numbers b + b { text-align: right; }
.serving-numbers small { font-size: 14px; font-weight: 600; color: inherit; display: inline-block; }
.side-on { color: var(--on); } .side-off { color: var(--off); }
.splitbar { position: relative; display: flex; height: 16px; border-radius: 8px; overflow: hidden; background: var(--off); margin: 6px 0 10px; }
.splitbar > .fill { background: var(--on); width: 0; transition: width .4s; border-right: 2px solid var(--card); }
.splitbar > .fill[data-zero=true] { border: 0; }
.facts { display: flex; flex-wrap: wrap; gap: 4px 18px; font-size: 13px; }
.fact b { font-weight: 600; }
.tick-ok { color: var(--ok); } .tick-bad { color: var(--trouble); } .tick-watch { color: var(--watch); }

.last-what { font-size: 16px; font-weight: 600; }
.last-what .arrow { color: var(--soft); }
.effect { display: grid; grid-template-columns: auto auto auto 1fr; gap: 2px 10px; margin-top: 8px; font-size: 13px; align-items: baseline; }
.effect .now { font-weight: 600; }
.worse { color: var(--trouble); } .better { color: var(--ok); }
.link { border: 0; background: none; padding: 0; color: var(--on); text-decoration: underline; text-underline-offset: 2px; }

table { width: 100%; border-collapse: collapse; }
th { font-weight: 400; text-align: left; }
thead th { font-size: 12px; color: var(--soft); padding-bottom: 4px; }
th.num, td.num { text-align: right; }
tbody th { color: var(--soft); }
tbody td, tbody th { padding: 3px 0; border-top: 1px solid var(--rule); }
td.num { font-size: 15px; padding-left: 12px; white-space: nowrap; }
td.num.lead { font-weight: 600; }
td.versus { font-size: 13px; color: var(--soft); width: 24%; }
td.versus.worse { color: var(--trouble); font-weight: 600; }
td[data-alarm=true] { color: var(--trouble); font-weight: 650; }
.key { display: inline-block; width: 18px; height: 0; border-top: 3px solid var(--on); vertical-align: middle; margin-right: 5px; }
.key.off { border-top: 3px dashed var(--off); }

.switches { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 480px), 1fr)); gap: 14px 28px; }
.switch { min-width: 0; overflow-x: auto; }
.switch h3 { margin: 0; font-size: 15px; font-weight: 650; overflow-wrap: anywhere; }
.switch-head { display: flex; justify-content: space-between; align-items: start; gap: 12px; margin-bottom: 6px; }
.switch-words { min-width: 0; }
.rollback.small { min-width: 0; width: auto; flex: none; padding: 7px 14px; font-size: 14px; min-height: 36px; }
.switch td.num { font-size: 13px; }

.chart { margin-top: 8px; }
.chart-head { display: flex; justify-content: space-between; align-items: baseline; gap: 10px; font-size: 12px; min-height: 18px; }
.chart-head b { font-weight: 600; }
.chart-head .values { display: flex; gap: 12px; white-space: nowrap; }
.uplot, .uplot * { font-family: inherit; }
.u-cursor-x { border-right: 1px dashed var(--soft) !important; }
.segmented { display: inline-flex; border: 1px solid var(--rule); border-radius: 7px; overflow: hidden; }
.segmented label { padding: 2px 10px; font-size: 12px; cursor: pointer; color: var(--soft); }
.segmented label + label { border-left: 1px solid var(--rule); }
.segmented input { position: absolute; opacity: 0; pointer-events: none; }
.segmented label:has(input:checked) { background: var(--well); color: var(--ink); font-weight: 600; }
.segmented label:has(input:focus-visible) { outline: 3px solid var(--on); outline-offset: -3px; }

.slide { display: grid; grid-template-columns: 1fr auto; gap: 10px 14px; align-items: center; }
.slide input[type=range] { width: 100%; height: 28px; margin: 0; accent-color: var(--on); }
.percent { display: flex; align-items: center; gap: 5px; }
.percent input { width: 84px; text-align: right; font-size: 16px; }
input[type=number], input[type=text], input[type=password] { background: var(--card); border: 1px solid var(--soft); border-radius: 6px; padding: 4px 8px; }
.chips { display: flex; gap: 5px; flex-wrap: wrap; grid-column: 1 / -1; }
.chips button, .plain { background: var(--well); border: 1px solid var(--rule); border-radius: 7px; padding: 3px 12px; }
.chips button { padding: 3px 8px; }
.chips button[aria-pressed=true] { border-color: var(--on); background: var(--on-soft); }
.preview { margin: 10px 0; min-height: 42px; }
.preview[data-tone=trouble] { color: var(--trouble); font-weight: 600; }
.primary { background: var(--on); border: 1px solid var(--on); color: var(--card); border-radius: 7px; padding: 6px 16px; font-weight: 600; }
.actions { display: flex; gap: 10px; align-items: center; flex-wrap: wrap; }
.outcome { margin-top: 10px; font-size: 13px; }
.outcome[data-outcome=done] { color: var(--ok); } .outcome[data-outcome=failed] { color: var(--trouble); } .outcome[data-outcome=unconfirmed] { color: var(--watch); }

.guard-sentence { font-size: 15px; margin-bottom: 8px; }
.waits { margin: 0 0 8px; padding-left: 18px; color: var(--soft); font-size: 13px; }
.evidence { margin-top: 10px; }
.evidence-head { display: flex; justify-content: space-between; gap: 10px; font-size: 13px; }
.evidence-head b { font-weight: 600; }
.track { position: relative; height: 18px; margin-top: 3px; background: var(--well); border-radius: 4px; overflow: hidden; }
.track .zone { position: absolute; top: 0; bottom: 0; }
.track .zone.safe { left: 0; background: var(--ok-soft); }
.track .zone.harm { right: 0; background: var(--trouble-soft); }
.track .grow { position: absolute; top: 4px; bottom: 4px; border-radius: 2px; transition: left .4s, width .4s; }
.track .grow.safe { background: var(--ok); } .track .grow.harm { background: var(--watch); }
.track .grow.harm[data-over=true] { background: var(--trouble); }
.track .mark { position: absolute; top: 0; bottom: 0; width: 0; border-left: 1px solid var(--soft); }
.track .mark.edge { border-left: 2px solid; }
.track .mark.safe { color: var(--ok); } .track .mark.harm { color: var(--trouble); }
.scale { position: relative; height: 32px; font-size: 11px; line-height: 1.25; color: var(--soft); margin-top: 3px; }
.scale span { position: absolute; text-align: center; transform: translateX(-50%); white-space: nowrap; }
.scale span.to-left { transform: translateX(-78%); }
.scale span.to-right { transform: translateX(-22%); }
.steps { display: flex; gap: 4px; margin-top: 4px; font-size: 12px; }
.steps li { flex: 1; text-align: center; border-top: 4px solid var(--rule); padding-top: 2px; color: var(--soft); }
.steps li[data-done=true] { border-color: var(--on); }
.steps li[aria-current] { color: var(--ink); font-weight: 650; border-color: var(--on); }
.alarms { margin-top: 10px; color: var(--watch); font-size: 13px; }

.rows { display: grid; grid-template-columns: auto 1fr; gap: 5px 14px; font-size: 13px; }
.rows dt { color: var(--soft); }
.rows dd { text-align: right; overflow-wrap: anywhere; min-width: 0; }
.rows .wide { grid-column: 1 / -1; text-align: left; }
.history { max-height: 300px; overflow: auto; font-size: 13px; }
.history li { display: grid; grid-template-columns: 74px 1fr; gap: 0 10px; padding: 5px 0; border-top: 1px solid var(--rule); }
.history li:first-child { border-top: 0; }
.history li.empty { display: block; }
.history time { color: var(--soft); }
.history .who { color: var(--soft); overflow-wrap: anywhere; }
.empty { color: var(--soft); font-size: 13px; }

dialog { border: 1px solid var(--rule); border-radius: 12px; padding: 20px; width: min(560px, calc(100vw - 32px)); background: var(--card); color: var(--ink); }
dialog::backdrop { background: rgb(10 15 20 / 55%); }
dialog h2 { font-size: 18px; margin-bottom: 8px; }
dialog .fields { display: grid; grid-template-columns: 1fr 1fr; gap: 10px; margin: 12px 0; }
dialog label { font-size: 12px; color: var(--soft); display: grid; gap: 3px; }
dialog label input { color: var(--ink); font-size: 14px; width: 100%; }
.diff { border: 1px solid var(--rule); border-radius: 7px; overflow: auto; margin: 10px 0; max-height: 200px; }
.diff div { padding: 0 10px; white-space: pre-wrap; overflow-wrap: anywhere; font: 12px/1.6 ui-monospace, SFMono-Regular, Menlo, "DejaVu Sans Mono", monospace; }
.diff .del { background: var(--trouble-soft); } .diff .add { background: var(--ok-soft); }
footer { max-width: 1480px; margin: 0 auto; padding: 0 20px 24px; color: var(--soft); font-size: 12px; }
.noscript { padding: 20px; }

@media (max-width: 1000px) {
  .columns, .strip { grid-template-columns: minmax(0, 1fr); }
  .column { display: contents; }
  #sides-card { order: 1; } #guard-card { order: 2; } #split-card { order: 3; }
  #charts-card { order: 4; } #beneath-card { order: 5; } #history-card { order: 6; }
}
@media (max-width: 640px) {
  body { padding-bottom: 78px; }
  .bar { padding: 8px 12px; }
  .bar h1 { font-size: 16px; }
  main { padding: 10px 12px; gap: 10px; }
  .strip, .columns, .column { gap: 10px; }
  .card { padding: 10px 12px 12px; }
  .back { position: fixed; inset: auto 0 0; padding: 10px 12px calc(10px + env(safe-area-inset-bottom)); background: var(--card); border-top: 1px solid var(--rule); z-index: 6; }
  .rollback { width: 100%; }
  dialog .fields { grid-template-columns: 1fr; }
  td.versus { width: auto; white-space: normal; }
  td.num { font-size: 14px; }
}
@media (prefers-reduced-motion: reduce) {
  * { transition: none !important; }
}
`
