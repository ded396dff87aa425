/** The status page's style. Colours are roles: calm, trouble (look at it), bad (act), each readable on both grounds. */
export const STYLE = `
:root {
  color-scheme: light dark;
  --ground: #f5f6f4; --panel: #ffffff; --ink: #1c2522; --soft: #5b6864; --line: #dfe4e1;
  --calm: #0b6760; --calm-soft: #d5ebe7; --trouble: #9a5b00; --trouble-soft: #fbecd0; --bad: #b3261e;
  --row: 3.25rem;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #0f1417; --panel: #161d21; --ink: #dde5e7; --soft: #8fa0a6; --line: #263137;
    --calm: #5cc8b8; --calm-soft: #173a37; --trouble: #eab464; --trouble-soft: #3d2e14; --bad: #ff8f85;
  }
}
* { box-sizing: border-box; }
body { margin: 0; background: var(--ground); color: var(--ink);
  font: 0.9375rem/1.45 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; font-variant-numeric: tabular-nums; }
header, main { max-width: 84rem; margin: 0 auto; padding: 0 1.25rem; }
header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; padding-top: 1.25rem; }
h1 { font-size: 1.05rem; margin: 0; letter-spacing: -.01em; }
h2 { font-size: .8125rem; font-weight: 600; color: var(--soft); margin: 0; }
p { margin: 0; }
.soft { color: var(--soft); }
.hidden { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
section { background: var(--panel); border: 1px solid var(--line); border-radius: .75rem; margin: 1rem 0; padding: 1rem 1.125rem; }
#link { margin-left: auto; display: flex; align-items: center; gap: .5rem; color: var(--soft); }
.dot { width: .625rem; height: .625rem; border-radius: 50%; background: var(--calm); flex: none; }
.lost .dot, .draining .dot { background: var(--trouble); }
.lost main { opacity: .75; }

.figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; margin: 0; }
.figures div { display: flex; flex-direction: column-reverse; justify-content: flex-end; }
.figures dt { color: var(--soft); }
.figures dd { margin: 0; font-size: 1.875rem; font-weight: 600; letter-spacing: -.02em; line-height: 1.2; }
.figures .alarm dd { color: var(--trouble); }

.hops { list-style: none; display: grid; grid-template-columns: repeat(4, 1fr); margin: 1rem 0 0; padding: 0; }
.hops li { position: relative; text-align: center; padding-top: 2.75rem; }
.hops li + li::before { content: ""; position: absolute; top: 1.0625rem; left: calc(-50% + 1.5rem); right: calc(50% + 1.5rem);
  border-top: 2px solid var(--line); }
.hops .node { position: absolute; top: 0; left: 50%; transform: translateX(-50%); min-width: 2.25rem; height: 2.25rem; padding: 0 .5rem;
  border-radius: 1.125rem; border: 2px solid var(--line); background: var(--panel); display: grid; place-items: center; font-weight: 600; }
.hops .calm .node { border-color: var(--calm); background: var(--calm-soft); }
.hops .trouble .node { border-color: var(--trouble); background: var(--trouble-soft); color: var(--trouble); }
.hops b { display: block; font-weight: 600; }
.hops small { color: var(--soft); }

table { width: 100%; border-collapse: collapse; margin-top: .5rem; }
th { text-align: left; font-weight: 500; color: var(--soft); }
th, td { padding: .375rem .75rem .375rem 0; border-bottom: 1px solid var(--line); }
tbody tr:last-child td, tbody tr:last-child th { border-bottom: 0; }
tbody th { color: var(--ink); font-weight: 600; }
td.number, th.number { text-align: right; }
.scroll { overflow-x: auto; }
#lessons { list-style: none; padding: 0; margin: 0; }
#lessons li { margin-top: .625rem; padding: .5rem .75rem; border-radius: .5rem; background: var(--trouble-soft); }

.bar { display: flex; flex-wrap: wrap; align-items: center; gap: .5rem 1rem; }
.bar h2 { margin-right: auto; }
input, select { font: inherit; color: inherit; background: var(--ground); border: 1px solid var(--line); border-radius: .5rem; padding: .3125rem .625rem; min-width: 0; }
:focus-visible { outline: 2px solid var(--calm); outline-offset: 2px; }
.columns, .row { display: grid; align-items: center; column-gap: 1rem;
  grid-template-columns: 6.5rem minmax(9rem, 1.6fr) minmax(5rem, .7fr) 5rem 5rem 10rem 11rem 5rem; }
.columns { color: var(--soft); padding: .75rem .25rem .375rem; border-bottom: 1px solid var(--line); }
#view { height: min(60vh, 40rem); overflow-y: auto; position: relative; overflow-anchor: none; contain: strict; }
#view.few { height: auto; contain: none; }
#space { position: relative; }
.row { position: absolute; left: 0; right: 0; top: 0; height: var(--row); padding: 0 .25rem; border-bottom: 1px solid var(--line); }
.row > * { min-width: 0; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.row small { display: block; color: var(--soft); overflow: hidden; text-overflow: ellipsis; }
.state { display: flex; align-items: center; gap: .5rem; }
.state .dot { width: .5rem; height: .5rem; }
.state.waiting .dot { background: none; border: 2px solid var(--calm); }
.state.blocked .dot { background: var(--trouble); border-radius: 1px; }
.state.closing .dot { background: var(--soft); }
.chart { display: flex; align-items: center; gap: .625rem; }
canvas { flex: none; display: block; }
.bytes span { display: block; }
.empty { color: var(--soft); padding: 1.25rem .25rem; }

#ends { list-style: none; margin: .5rem 0 0; padding: 0; max-height: 32rem; overflow-y: auto; }
#ends li { display: grid; grid-template-columns: 5.5rem 6rem 1fr; gap: .125rem 1rem; padding: .5rem .25rem; border-bottom: 1px solid var(--line); }
#ends li:last-child { border-bottom: 0; }
#ends .who { grid-column: 3; color: var(--soft); overflow-wrap: anywhere; }
.hop { justify-self: start; align-self: start; border-radius: 1rem; padding: 0 .625rem; background: var(--calm-soft); color: var(--calm); }
.trouble > .hop { background: var(--trouble-soft); color: var(--trouble); }

@media (max-width: 62rem) {
  :root { --row: 6.25rem; }
  .columns { display: none; }
  .row { grid-template-columns: minmax(0, 1fr) minmax(0, 1fr) auto; row-gap: 0; align-content: center;
    grid-template-areas: "who who state" "rtt rtt pings" "age idle bytes"; }
  .row .state { grid-area: state; justify-self: end; } .row .who { grid-area: who; } .row .route { display: none; }
  .row .age { grid-area: age; } .row .idle { grid-area: idle; } .row .rtt { grid-area: rtt; }
  .row .pings { grid-area: pings; justify-self: end; } .row .bytes { grid-area: bytes; justify-self: end; }
  .bytes span { display: inline; } .bytes .down { margin-left: .5rem; }
  .row .age::before { content: "age "; color: var(--soft); } .row .idle::before { content: "idle "; color: var(--soft); }
}
@media (min-width: 62.01rem) { .row .bytes, .columns .bytes, .row .age, .row .idle, .columns .age, .columns .idle { text-align: right; } }
@media (max-width: 40rem) {
  header, main { padding: 0 .75rem; } header { padding-top: .75rem; }
  section { padding: .75rem; margin: .75rem 0; }
  .figures { grid-template-columns: 1fr 1fr; }
  .wide { display: none; } th, td { padding-right: .5rem; }
  .hops small { display: none; }
  #ends li { grid-template-columns: 1fr auto; } #ends .verdict, #ends .who { grid-column: 1 / -1; }
  #filter { flex: 1; }
}
@media (prefers-reduced-motion: no-preference) { .hops .node { transition: background-color .6s, border-color .6s; } .lost main { transition: opacity .3s; } }
`;
