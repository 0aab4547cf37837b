"""The style sheet and the frame of the HTML report."""

from __future__ import annotations

_LIGHT = {
    "paper": "#ffffff", "panel": "#f6f7f9", "ink": "#1b1f24", "soft": "#5b6470", "rule": "#dde1e7",
    "grid": "#e9ecf0", "pnl": "#b9c0ca", "hit": "#c81e1e", "band": "#e4e8ee",
    "green": "#15803d", "yellow": "#a16207", "red": "#c81e1e",
    "green-bg": "#dcfce7", "yellow-bg": "#fef3c7", "red-bg": "#fee2e2",
    "c0": "#2563eb", "c1": "#d9480f", "c2": "#0f766e", "c3": "#7c3aed",
    "c4": "#a16207", "c5": "#be185d", "c6": "#4d7c0f", "c7": "#475569",
}  # fmt: skip
_DARK = {
    "paper": "#14171b", "panel": "#1c2026", "ink": "#e7eaee", "soft": "#9aa4b1", "rule": "#323943",
    "grid": "#262c34", "pnl": "#59626e", "hit": "#ff6b6b", "band": "#272e37",
    "green": "#4ade80", "yellow": "#facc15", "red": "#ff8080",
    "green-bg": "#14351f", "yellow-bg": "#3a2f0b", "red-bg": "#431a1a",
    "c0": "#6ea8ff", "c1": "#ff9d5c", "c2": "#4fd1c5", "c3": "#b794ff",
    "c4": "#e3b341", "c5": "#ff7eb6", "c6": "#a3d65c", "c7": "#a8b3c2",
}  # fmt: skip

_RULES = """
*{box-sizing:border-box}
body{margin:0;background:var(--paper);color:var(--ink);
font:15px/1.55 system-ui,-apple-system,"Segoe UI",Roboto,"Helvetica Neue",Arial,sans-serif}
main{max-width:1140px;margin:0 auto;padding:36px 28px 64px}
h1{font-size:27px;line-height:1.2;margin:0 0 6px;letter-spacing:-.01em}
h2{font-size:20px;margin:44px 0 8px;padding-top:18px;border-top:1px solid var(--rule)}
h3{font-size:16px;margin:28px 0 6px}
h4{font-size:13.5px;margin:20px 0 0;font-weight:600}
p{margin:6px 0;max-width:80ch}
.soft,.lead{color:var(--soft)}
.lead{margin-bottom:18px}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(220px,1fr));gap:12px 20px;
margin:18px 0;padding:16px 18px;background:var(--panel);border-radius:8px}
dt{font-size:12px;color:var(--soft)}
dd{margin:0;font-weight:600;overflow-wrap:anywhere}
.scroll{overflow-x:auto;margin:10px 0}
table{border-collapse:collapse;font-size:13.5px;font-variant-numeric:tabular-nums;width:100%}
caption{text-align:left;color:var(--soft);font-size:13px;padding-bottom:6px}
caption span{position:sticky;left:0;display:inline-block;max-width:calc(100vw - 56px)}
th,td{padding:6px 8px;text-align:right;border-bottom:1px solid var(--rule);white-space:nowrap}
thead th{font-weight:600;color:var(--soft);font-size:12.5px;vertical-align:bottom}
th:first-child,td:first-child,.text,.text2 thead th:nth-child(2),
.text3 thead th:nth-child(-n+3){text-align:left}
.text3{font-size:13px}.text3 td,.text3 th{padding:6px}
tbody th{font-weight:500}
tbody th small{display:block;color:var(--soft);font-weight:400;font-size:12px;white-space:normal}
tr.part td,tr.part th{border-top:2px solid var(--rule)}
td small{color:var(--soft)}
td.no{color:var(--red);font-weight:600}
td.no small{color:var(--red);font-weight:400}
.pill{display:inline-block;padding:1px 9px;border-radius:99px;font-size:12.5px;font-weight:600}
.green{color:var(--green);background:var(--green-bg)}
.yellow{color:var(--yellow);background:var(--yellow-bg)}
.red{color:var(--red);background:var(--red-bg)}
.key{display:inline-block;width:11px;height:11px;border-radius:3px;margin-right:6px}
.legend{display:flex;flex-wrap:wrap;gap:4px 18px;font-size:12.5px;color:var(--soft);
margin:6px 0 2px}
.legend svg{width:26px;height:10px;vertical-align:middle;margin-right:6px;overflow:visible}
.pair{display:grid;grid-template-columns:1fr 1fr;gap:8px 24px}
@media(max-width:820px){.pair{grid-template-columns:1fr}main{padding:24px 14px}}
figure{margin:4px 0}
figcaption{font-size:12.5px;color:var(--soft);margin-bottom:2px}
.plot{display:block;width:100%;height:auto}
.plot text{font:11px system-ui,-apple-system,"Segoe UI",Roboto,Arial,sans-serif;fill:var(--soft)}
.plot .end{text-anchor:end}.plot .mid{text-anchor:middle}
.plot .row{text-anchor:end;transform:translateX(-8px);fill:var(--ink)}
.grid{stroke:var(--grid);stroke-width:1}.zero{stroke:var(--soft);stroke-width:1;opacity:.7}
path,line{fill:none}
.pnl{stroke:var(--pnl);stroke-width:1.1}
.var{stroke-width:1.5}.es{stroke-width:1.2;stroke-dasharray:4 2.5;opacity:.9}
.step{stroke-width:1.8}
.hit{fill:var(--hit);stroke:var(--paper);stroke-width:.7}
.band{fill:var(--band)}.expected{stroke:var(--soft);stroke-width:1.3;stroke-dasharray:5 3}
.dot{fill-opacity:.6}.mean{stroke:var(--ink);stroke-width:2.2}
.promise{stroke:var(--hit);stroke-width:2.2;stroke-dasharray:3 2}
footer{margin-top:44px;padding-top:14px;border-top:1px solid var(--rule);
color:var(--soft);font-size:13px}
@media print{h2,h3,figure,.pair{break-inside:avoid}main{max-width:none;padding:0}}
"""


def _variables(colours: dict[str, str]) -> str:
    return "".join(f"--{name}:{value};" for name, value in colours.items())


def _style() -> str:
    models = "".join(
        f"path.c{k},line.c{k}{{stroke:var(--c{k})}}circle.c{k}{{fill:var(--c{k})}}"
        f".key.c{k}{{background:var(--c{k})}}"
        for k in range(8)
    )
    return (
        f":root{{color-scheme:light dark;{_variables(_LIGHT)}}}"
        f"@media(prefers-color-scheme:dark){{:root{{{_variables(_DARK)}}}}}"
        f"{_RULES.replace(chr(10), '')}{models}"
    )


def page(title: str, body: str) -> str:
    """Return a whole page; `title` is escaped text, `body` finished HTML."""
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"/>'
        '<meta name="viewport" content="width=device-width, initial-scale=1"/>'
        f"<title>{title}</title><style>{_style()}</style></head>\n"
        f"<body><main>{body}</main></body></html>\n"
    )
