export const STYLE = `
:root {
  color-scheme: light dark;
  --back: #f6f7f9; --card: #fff; --text: #1b2330; --soft: #5b6678; --line: #dde2ea;
  --good: #14804a; --bad: #c02434; --ping: #1f6fd6; --message: #8a63d2;
  font: 16px/1.5 system-ui, sans-serif;
}
@media (prefers-color-scheme: dark) {
  :root { --back: #10141b; --card: #1a202b; --text: #e8ecf2; --soft: #9aa6b8; --line: #2c3543;
    --good: #4cc38a; --bad: #ff6b78; --ping: #6cb0ff; --message: #b79cf0; }
}
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 72rem; padding: 1.5rem 1rem; background: var(--back); color: var(--text); }
h1 { font-size: 1.6rem; margin: 0 0 .25rem; }
header p, footer { color: var(--soft); max-width: 48rem; margin: 0 0 1rem; }
main { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; }
.lane { background: var(--card); border: 1px solid var(--line); border-radius: 12px; padding: 1rem 1.25rem; min-width: 0; }
.lane h2 { font-size: 1.1rem; margin: 0; }
.way { color: var(--soft); margin: 0 0 .75rem; }
.state { margin: 0 0 .5rem; display: flex; gap: .5rem; align-items: center; }
.dot { width: .75rem; height: .75rem; border-radius: 50%; background: var(--soft); }
.lane[data-open=true] .dot { background: var(--good); }
.lane[data-open=false] .dot { background: var(--bad); }
dl { display: grid; grid-template-columns: repeat(3, 1fr); gap: .5rem; margin: 0 0 .75rem; }
dt { color: var(--soft); font-size: .85rem; }
dd { margin: 0; font-size: 1.25rem; font-weight: 600; font-variant-numeric: tabular-nums; }
canvas { width: 100%; height: 4rem; display: block; border-radius: 6px; background: var(--back); }
.last { margin: .5rem 0; color: var(--soft); min-height: 1.5em; }
.last.bad { color: var(--bad); }
ol { list-style: none; margin: 0 0 .75rem; padding: .5rem .75rem; height: 9rem; overflow-y: auto; overflow-wrap: anywhere;
  background: var(--back); border-radius: 6px; font-size: .9rem; }
ol .quiet { color: var(--soft); }
form { display: flex; gap: .5rem; }
input, button { font: inherit; padding: .4rem .7rem; border-radius: 6px; border: 1px solid var(--line); color: inherit; background: var(--back); }
input { flex: 1; min-width: 0; }
button { cursor: pointer; }
:focus-visible { outline: 2px solid var(--ping); outline-offset: 2px; }
footer { margin-top: 1rem; font-size: .9rem; }
.mark { display: inline-block; width: .3rem; height: .9rem; border-radius: 2px; margin: 0 .25rem 0 .75rem; vertical-align: -.1rem; }
.mark.ping { background: var(--ping); } .mark.message { background: var(--message); } .mark.cut { background: var(--bad); }
@media (max-width: 44rem) { main { grid-template-columns: 1fr; } }
`;
