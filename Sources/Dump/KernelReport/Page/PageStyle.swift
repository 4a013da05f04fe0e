/// How the page looks, and what little it does by itself. Both are constants: the page's policy
/// (`Content-Security-Policy`) lets no other script run, and lets nothing be loaded.
enum PageStyle {
  static let css: StaticString = """
    :root{color-scheme:light dark;--fg:#1b1f24;--bg:#fff;--dim:#5d6672;--line:#d8dde3;--box:#f5f7f9;--link:#0b57b5;
    --bad:#b3261e;--badbg:#fdecea;--warn:#8a5a00;
    --c0:#4269d0;--c1:#e8a317;--c2:#3c9d51;--c3:#9a5fd6;--c4:#c9ced6;--c5:#9c6b4e;--c6:#d6303a;--c7:#77808c}
    @media (prefers-color-scheme:dark){:root{--fg:#dfe3e8;--bg:#14171b;--dim:#97a1ad;--line:#333a43;--box:#1c2127;--link:#79b4ff;
    --bad:#ff8a80;--badbg:#3a1d1c;--warn:#f0c060;--c0:#6d8ff0;--c1:#f0b429;--c2:#58bb6d;--c3:#b585ec;--c4:#4a525d;--c5:#b98a6c;
    --c6:#ff6369;--c7:#8a939f}}
    *{box-sizing:border-box}
    body{margin:0 auto;padding:1.5rem clamp(1rem,3vw,2.5rem) 4rem;max-width:78rem;font:15px/1.5 system-ui,"Segoe UI","DejaVu Sans",
    sans-serif;color:var(--fg);background:var(--bg);overflow-wrap:anywhere}
    h1{font-size:1.35rem;line-height:1.3;margin:0 0 .25rem;padding:.75rem 1rem;border-left:5px solid var(--bad);background:var(--badbg)}
    h2{font-size:1.1rem;margin:2.25rem 0 .6rem;padding-bottom:.25rem;border-bottom:1px solid var(--line)}
    h3{font-size:.95rem;margin:1.25rem 0 .4rem}
    nav{display:flex;flex-wrap:wrap;gap:.2rem 1rem;margin:.75rem 0;font-size:.9rem}
    a{color:var(--link)}
    code,pre,ol.stack,#lines,.registers,dd,td.m{font-family:ui-monospace,SFMono-Regular,"DejaVu Sans Mono",Menlo,monospace;font-size:.82rem}
    dl{display:grid;grid-template-columns:max-content 1fr;gap:.15rem 1.25rem;margin:0}
    dt{color:var(--dim)}dd{margin:0}
    details{margin:.3rem 0;border:1px solid var(--line);border-radius:5px;background:var(--box)}
    summary{padding:.35rem .75rem;cursor:pointer}
    summary b{margin-right:.5em}summary span{color:var(--dim);font-size:.88rem}
    ol.stack{margin:0;padding:.35rem .75rem .6rem 1.5rem;list-style:none}
    ol.stack span{color:var(--dim)}
    ol.stack .mark{color:var(--dim);font-style:italic;margin:.15rem 0 .15rem -.75rem}
    ol.stack .doubt:before{content:"? ";color:var(--warn);margin-left:-1.1em}
    .registers{display:grid;grid-template-columns:repeat(auto-fill,minmax(15.5rem,1fr));gap:.1rem 1rem;margin:.4rem 0}
    .registers span{display:flex;gap:.75em}.registers i{color:var(--dim);min-width:4.5em;font-style:normal}
    pre{margin:.4rem 0;padding:.5rem .75rem;background:var(--box);border:1px solid var(--line);border-radius:5px;white-space:pre-wrap}
    pre mark{background:var(--badbg);color:var(--bad);font-weight:700}
    .wrong{color:var(--bad);font-weight:600}
    table{border-collapse:collapse;font-size:.88rem;margin:.4rem 0}
    th{text-align:right;font-weight:600;color:var(--dim)}td{text-align:right;font-variant-numeric:tabular-nums}
    th:first-child,td:first-child{text-align:left}
    th,td{padding:.2rem 1.25rem .2rem 0;border-bottom:1px solid var(--line);vertical-align:top}
    .legend td{border:0}
    figure{margin:.4rem 0}
    .memory svg{width:100%;height:auto;background:var(--box);border:1px solid var(--line);border-radius:5px}
    .memory text{font:11px ui-monospace,"DejaVu Sans Mono",monospace;fill:var(--dim)}
    .gap{stroke:var(--fg);stroke-dasharray:3 3;fill:none}
    .swatch{width:.75em;height:.75em}
    .c0{fill:var(--c0)}.c1{fill:var(--c1)}.c2{fill:var(--c2)}.c3{fill:var(--c3)}.c4{fill:var(--c4)}.c5{fill:var(--c5)}.c6{fill:var(--c6)}
    .c7{fill:var(--c7)}
    .bar{display:inline-block;width:9rem;height:.7rem;background:var(--box);border:1px solid var(--line);vertical-align:middle}
    .tools{display:none;gap:.6rem;flex-wrap:wrap;align-items:center;margin:.4rem 0;font-size:.88rem}
    .js .tools{display:flex}
    input,select,button{font:inherit;color:inherit;background:var(--bg);border:1px solid var(--line);border-radius:4px;padding:.2rem .5rem}
    input{flex:1 1 14rem;max-width:30rem}
    #lines{list-style:none;margin:0;padding:.5rem .75rem;max-height:32rem;overflow:auto;background:var(--box);border:1px solid var(--line);
    border-radius:5px;white-space:pre-wrap}
    #lines li[hidden]{display:none}
    #lines time{color:var(--dim)}
    #lines .l0,#lines .l1,#lines .l2,#lines .l3{color:var(--bad)}#lines .l4{color:var(--warn)}
    ul{margin:.3rem 0;padding-left:1.25rem}
    footer{margin-top:3rem;color:var(--dim);font-size:.82rem}
    @media (max-width:40rem){dl{grid-template-columns:1fr}dt{margin-top:.4rem}}
    @media print{:root{color-scheme:light;--fg:#000;--bg:#fff;--dim:#444;--line:#bbb;--box:#fff;--bad:#a00;--badbg:#fff;--warn:#740;
    --c0:#4269d0;--c1:#e8a317;--c2:#3c9d51;--c3:#9a5fd6;--c4:#c9ced6;--c5:#9c6b4e;--c6:#d6303a;--c7:#77808c}
    body{max-width:none;padding:0;font-size:10pt}
    *{print-color-adjust:exact;-webkit-print-color-adjust:exact}
    .js .tools,nav{display:none}#lines{max-height:none;overflow:visible}#lines .old{display:none}
    details::details-content{content-visibility:visible;display:block}
    h2,h3,summary{break-after:avoid}li,tr{break-inside:avoid}}
    """

  /// Search and level of the log, opening and closing all stacks, and opening them for printing.
  static let script: StaticString = """
    (function(){'use strict';var d=document,root=d.documentElement;root.className='js';
    function all(s){return Array.prototype.slice.call(d.querySelectorAll(s))}
    function id(i){return d.getElementById(i)}
    var log=id('lines');
    if(log){var rows=all('#lines li'),words=id('words'),level=id('level'),count=id('count');
    var filter=function(){var w=words.value.toLowerCase(),m=+level.value,n=0;
    rows.forEach(function(r){var l=r.getAttribute('data-l');
    var on=(m===8||(l!==null&&+l<=m))&&(w===''||r.textContent.toLowerCase().indexOf(w)>=0);r.hidden=!on;if(on)n++});
    count.textContent=n===rows.length?n+' lines':n+' of '+rows.length+' lines'};
    words.addEventListener('input',filter);level.addEventListener('change',filter);filter();log.scrollTop=log.scrollHeight}
    all('button[data-open]').forEach(function(b){b.addEventListener('click',function(){
    all('details').forEach(function(e){e.open=b.getAttribute('data-open')==='1'})})});
    var closed=[];
    window.addEventListener('beforeprint',function(){closed=all('details:not([open])');closed.forEach(function(e){e.open=true})});
    window.addEventListener('afterprint',function(){closed.forEach(function(e){e.open=false})})})()
    """

  /// The script's digest, which the policy names: `printf %s SCRIPT | openssl dgst -sha256 -binary | base64`.
  static let scriptDigest: StaticString = "5gQmriqLBcIUS85L/8hGohVmDbiBio3bjYWGgAfxGBE="
}
