/**
 * The page's skeleton; the scripts fill it. Nothing inline: the content security policy forbids it.
 */
export const html: string = `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>Switchback</title>
<link rel="icon" href="/assets/icon.svg" type="image/svg+xml">
<link rel="stylesheet" href="/assets/uplot.css">
<link rel="stylesheet" href="/assets/styles.css">
<script src="/assets/uplot.js" defer></script>
<script src="/assets/page/main.js" type="module"></script>
</head>
<body data-level="unknown" data-live="connecting">
<div class="top">
<header class="bar">
  <span class="lamp" aria-hidden="true"></span>
  <div class="bar-words">
    <h1 id="headline" role="status" aria-live="polite">Connecting</h1>
    <p class="bar-sub"><span id="flag-name"></span><span id="clock"></span><span id="live" role="status"></span></p>
  </div>
  <div class="back" id="back"></div>
</header>
<div id="back-result" class="back-result" role="status" aria-live="assertive" hidden></div>
</div>
<noscript><p class="noscript">This page needs JavaScript. On the machine: <code>switchback status</code>, <code>switchback rollback</code>.</p></noscript>
<main>
  <ul id="findings" class="findings" aria-label="Findings" hidden></ul>
  <div class="strip">
    <section class="card" id="serving-card" aria-labelledby="serving-title">
      <h2 id="serving-title">Who is served by which side</h2>
      <div id="serving"></div>
    </section>
    <section class="card" id="last-card" aria-labelledby="last-title">
      <h2 id="last-title">Last change</h2>
      <div id="last"></div>
    </section>
  </div>
  <section class="card" id="switches-card" aria-labelledby="switches-title" hidden>
    <h2 id="switches-title"><span id="switches-of">Other switches</span> of these processes <small>last 5 seconds</small></h2>
    <div id="switches" class="switches"></div>
  </section>
  <div class="columns">
    <div class="column">
      <section class="card" id="sides-card" aria-labelledby="sides-title">
        <h2 id="sides-title">Both sides now <small>last 5 seconds</small></h2>
        <div id="sides"></div>
      </section>
      <section class="card" id="charts-card" aria-labelledby="charts-title">
        <div class="card-head">
          <h2 id="charts-title">Cause and effect</h2>
          <div id="range" role="radiogroup" aria-label="Time shown" class="segmented"></div>
        </div>
        <div id="charts"></div>
      </section>
    </div>
    <div class="column">
      <section class="card" id="split-card" aria-labelledby="split-title">
        <h2 id="split-title">Change the split</h2>
        <div id="split"></div>
      </section>
      <section class="card" id="guard-card" aria-labelledby="guard-title">
        <div class="card-head">
          <h2 id="guard-title">Guard</h2>
          <span id="guard-mode" class="chip"></span>
        </div>
        <div id="guard"></div>
      </section>
      <section class="card" id="beneath-card" aria-labelledby="beneath-title">
        <h2 id="beneath-title">Dependencies</h2>
        <div id="beneath"></div>
      </section>
      <section class="card" id="history-card" aria-labelledby="history-title">
        <h2 id="history-title">Who changed what</h2>
        <div id="history"></div>
      </section>
    </div>
  </div>
</main>
<footer><span id="about"></span> <a href="/openapi.json">API</a></footer>
<dialog id="confirm" aria-labelledby="confirm-title"></dialog>
<dialog id="token" aria-labelledby="token-title"></dialog>
</body>
</html>
`
