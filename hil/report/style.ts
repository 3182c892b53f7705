/** The look of the page: readable on a screen and on paper, no files from elsewhere. */
export const STYLE = `
:root{--ink:#1c2430;--soft:#5b6675;--line:#d9dee5;--paper:#fff;--wash:#f5f7f9;--good:#14713d;--bad:#b3261e;--unsure:#8a5a00;--none:#5b6675}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--wash);margin:0}
main{max-width:64rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.7rem;margin:0 0 .25rem}h2{font-size:1.3rem;margin:2.5rem 0 .5rem}h3{font-size:1rem;margin:1.25rem 0 .4rem}
p{margin:.3rem 0}.soft,small{color:var(--soft)}small{font-size:.85rem}
code,pre,td.mono{font:13px/1.5 ui-monospace,SFMono-Regular,Consolas,monospace;overflow-wrap:anywhere}
.banner{border-left:.5rem solid;border-radius:.4rem;background:var(--paper);padding:1rem 1.25rem;margin:1.25rem 0;box-shadow:0 1px 2px #0002}
.banner b{font-size:1.25rem}
.holds{--tone:var(--good)}.does-not-hold{--tone:var(--bad)}.not-judged{--tone:var(--unsure)}.not-supported{--tone:var(--none)}
.banner{border-color:var(--tone)}
.badge{display:inline-block;white-space:nowrap;border-radius:1rem;padding:.05rem .7rem;font-size:.85rem;font-weight:600;color:#fff;background:var(--tone)}
table{border-collapse:collapse;width:100%;background:var(--paper);border-radius:.4rem;overflow:hidden;box-shadow:0 1px 2px #0002}
th,td{text-align:left;vertical-align:top;padding:.5rem .7rem;border-bottom:1px solid var(--line)}
th{font-size:.85rem;color:var(--soft);font-weight:600}tr:last-child td{border-bottom:0}
td.badge-cell{width:1%;white-space:nowrap}
details{background:var(--paper);border:1px solid var(--line);border-radius:.4rem;margin:.4rem 0}
details>summary{cursor:pointer;padding:.5rem .8rem;display:flex;gap:.7rem;align-items:baseline;list-style-position:inside}
details>summary::before{content:"▸";color:var(--soft)}details[open]>summary::before{content:"▾"}details>summary::-webkit-details-marker{display:none}
details>summary .grow{flex:1}
details>.in{padding:.2rem 1rem 1rem;border-top:1px solid var(--line)}
details details{background:var(--wash)}
details.claim>summary{font-weight:600}
dl.facts{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1rem;margin:.5rem 0}dl.facts dt{color:var(--soft)}dl.facts dd{margin:0;overflow-wrap:anywhere}
pre{white-space:pre-wrap;background:var(--wash);border:1px solid var(--line);border-radius:.3rem;padding:.6rem;max-height:24rem;overflow:auto;margin:.4rem 0}
figure{margin:.8rem 0}figcaption{font-weight:600;font-size:.9rem;margin-bottom:.3rem}
.slot{margin:.3rem 0 .7rem}.slot span{font-size:.85rem}svg{display:block;width:100%;border:1px solid var(--line);border-radius:.2rem;background:#fff}
.slot svg{height:22px}.cuts{height:64px}svg{overflow:hidden}
.legend{font-size:.82rem;color:var(--soft)}.key{margin-right:1rem;white-space:nowrap}.key i{display:inline-block;width:.9rem;height:.7rem;margin-right:.3rem;border:1px solid #0003}
.r-header{fill:#3b5bdb;background:#3b5bdb}.r-body{fill:#74a9f7;background:#74a9f7}.r-protected{fill:#7b2d8e;background:#7b2d8e}.r-tlvs{fill:#c77dd6;background:#c77dd6}
.r-free{fill:#fff;background:#fff}.r-leftover{fill:#c9ced6;background:#c9ced6}.r-trailer{fill:#e8a13a;background:#e8a13a}
.c-old{fill:#74a9f7;background:#74a9f7}.c-fresh{fill:#2f9e5b;background:#2f9e5b}.c-bad{fill:#b3261e;background:#b3261e}
.in table{display:block;overflow-x:auto}.in td{min-width:4rem}.in td:last-child{min-width:11rem}
@media (max-width:40rem){body{font-size:15px}main{padding:1rem .6rem 3rem}th,td{padding:.4rem .5rem}details>.in{padding:.2rem .6rem .8rem}dl.facts{grid-template-columns:1fr;gap:0}dl.facts dd{margin-bottom:.4rem}td.mono{min-width:16rem}}
ol.steps{padding-left:1.4rem;margin:.3rem 0}ol.steps li{margin:.15rem 0}
a{color:inherit}
@media (prefers-color-scheme:dark){:root{color-scheme:dark;--ink:#e3e8ef;--soft:#9aa5b4;--line:#39424e;--paper:#1d232b;--wash:#14181e;--good:#2f9e5b;--bad:#e0584e;--unsure:#c58a1b;--none:#7d8896}.badge{color:#0f1216}.r-free,svg{fill:#14181e;background:#14181e}}
@media print{body{background:#fff}details{break-inside:avoid}}
`;
