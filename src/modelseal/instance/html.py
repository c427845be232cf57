# SPDX-License-Identifier: Apache-2.0
"""What all pages of an instance share: the frame, the style, the headers. No scripts anywhere."""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape

_STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#57606a;--back:#fff;--card:#f6f8fa;--line:#d0d7de;
--link:#0550ae;--good:#116329;--bad:#a40e26;--note:#9a6700}
@media(prefers-color-scheme:dark){:root{--ink:#e6edf3;--dim:#9da7b3;--back:#0d1117;--card:#161b22;
--line:#30363d;--link:#79b8ff;--good:#56d364;--bad:#ff7b72;--note:#d29922}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);
max-width:46rem;margin:0 auto;padding:1.5rem 1rem 4rem}
header{display:flex;flex-wrap:wrap;gap:.3rem 1rem;align-items:baseline;color:var(--dim);
border-bottom:1px solid var(--line);padding-bottom:.6rem;margin-bottom:1.5rem}
header a{font-weight:600;color:inherit;text-decoration:none}
h1{font-size:1.6rem;line-height:1.25;margin:.2rem 0 1rem;overflow-wrap:anywhere}
h2{font-size:1.15rem;margin:2rem 0 .6rem}
a{color:var(--link)}
code,pre{font:.875rem/1.45 ui-monospace,monospace}
code{overflow-wrap:anywhere}
pre{background:var(--card);border:1px solid var(--line);border-radius:6px;padding:.7rem;
white-space:pre-wrap;overflow-wrap:anywhere;margin:.5rem 0}
dl{display:grid;grid-template-columns:minmax(7rem,auto) 1fr;gap:.35rem 1rem;margin:0}
dt{color:var(--dim)}dd{margin:0;overflow-wrap:anywhere}
.entries{list-style:none;margin:0;padding:0}
.entries li{border-top:1px solid var(--line);padding:.55rem 0}
.entries code{display:block;color:var(--dim)}
.entries time{color:var(--dim);font-size:.9rem}
form{margin:.5rem 0}label{display:block;margin:.8rem 0}
input{display:block;width:100%;font:inherit;color:inherit;background:var(--back);
border:1px solid var(--line);border-radius:6px;padding:.45rem .6rem;margin-top:.2rem}
button{font:inherit;color:var(--back);background:var(--link);border:0;border-radius:6px;
padding:.5rem 1.2rem;cursor:pointer}
:focus-visible{outline:2px solid var(--link);outline-offset:2px}
.note{border-left:4px solid var(--note);padding-left:1rem}
.good{color:var(--good);font-weight:600}.bad{color:var(--bad);font-weight:600}.dim{color:var(--dim)}
@media(max-width:30rem){dl{grid-template-columns:1fr;gap:0}dd{margin-bottom:.6rem}
button{width:100%}}
""".strip()
_STYLE_HASH = b64encode(sha256(_STYLE.encode()).digest()).decode()


def page(title: str, body: str) -> str:
    """Return the page with `body`, which is HTML; `title` is text."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>"
        '<header><a href="/">Private Sigstore</a><span>run by modelseal</span></header>'
        f"<main><h1>{escape(title)}</h1>{body}</main></body></html>"
    )


def headers(form_action: str = "'self'", cache: str = "no-store") -> dict[str, str]:
    """Return the headers of a page: no scripts, no frames, nothing from elsewhere."""
    return {
        "Content-Security-Policy": (
            f"default-src 'none'; style-src 'sha256-{_STYLE_HASH}'; form-action {form_action}; "
            "frame-ancestors 'none'; base-uri 'none'"
        ),
        "X-Frame-Options": "DENY",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": cache,
        "Vary": "Accept",
    }


def wanted(accept: str) -> bool:
    """Return whether whoever sent this Accept header is a browser: programs ask for no HTML."""
    return "text/html" in accept


def error_page(message: str, hint: str, code: str) -> str:
    """Return the page that says why there is no other."""
    more = f"<p>{escape(hint)}</p>" if hint else ""
    return page(
        "That did not work",
        f'<p role="alert">{escape(message)}</p>{more}<p class="dim">Code: <code>{escape(code)}'
        '</code></p><p><a href="/">To the start page</a></p>',
    )
