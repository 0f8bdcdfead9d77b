"""Style sheet of a report page, light or dark as the reader's system is."""

CSS = """
:root { color-scheme: light dark; --ink: #24292f; --soft: #5d666f; --line: #dde1e6; --page: #ffffff;
        --card: #f5f7f9; --accent: #1f6fb2; --warning: #9a6700; --critical: #b3261e; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e7eb; --soft: #9aa5b0; --line: #343b43; --page: #16191d; --card: #1f242a;
          --accent: #6fb3e8; --warning: #e0b04a; --critical: #f0857d; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 68rem; padding: 2.5rem 1.25rem 4rem; background: var(--page);
       color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.25; margin: 0 0 1.25rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-bottom: .3rem; border-bottom: 1px solid var(--line);
     overflow-wrap: anywhere; }
p { margin: .6rem 0; max-width: 46rem; }
dl { display: flex; flex-wrap: wrap; gap: .75rem; margin: 0; }
dl div { flex: 1 1 9.5rem; background: var(--card); border: 1px solid var(--line); border-radius: .5rem;
         padding: .6rem .85rem; }
dt { color: var(--soft); font-size: .8rem; }
dd { margin: 0; font-size: 1.05rem; font-weight: 600; overflow-wrap: anywhere; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: .92rem; font-variant-numeric: tabular-nums; }
th, td { padding: .38rem 1rem .38rem 0; text-align: right; border-bottom: 1px solid var(--line); white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
th:first-child, td:first-child, th.text, td.text { text-align: left; }
td.best { color: var(--accent); font-weight: 700; }
table.words { width: 100%; line-height: 1.4; }
table.words th, table.words td { text-align: left; vertical-align: top; white-space: normal; min-width: 6rem; }
.mark { display: inline-block; margin-right: .5rem; padding: 0 .4rem; border: 1px solid currentColor;
        border-radius: .3rem; font-size: .78rem; font-weight: 600; color: var(--soft); }
.mark.is-warning { color: var(--warning); }
.mark.is-critical { color: var(--critical); }
.note { color: var(--soft); font-size: .88rem; white-space: pre-wrap; margin: .3rem 0; }
ul.links { columns: 16rem; padding-left: 1.2rem; }
a { color: var(--accent); overflow-wrap: anywhere; }
summary { color: var(--accent); cursor: pointer; }
figure { margin: 1rem 0; }
figure img { display: block; max-width: 100%; height: auto; background: #fff; border: 1px solid var(--line);
             border-radius: .5rem; }
figcaption { color: var(--soft); font-size: .88rem; margin-top: .4rem; }
pre { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; padding: .8rem 1rem;
      overflow-x: auto; font-size: .85rem; line-height: 1.45; }
"""
