# SPDX-License-Identifier: Apache-2.0
"""A report as one HTML page that needs no other file: sorted and filtered in the browser.

Names come from hostile models, so every text is escaped, and the policy of the page lets run and
look like something only what is written here (CSP by digest). Without scripts it is a plain table.
"""

from __future__ import annotations

from base64 import b64encode
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import modelseal
from modelseal.admission.report import STATES
from modelseal.errors import shown

if TYPE_CHECKING:
    from datetime import datetime

    from modelseal.admission.report import Report, Row
    from modelseal.trust.signer import Signer

_LONGEST = 500  # characters of a text
_MOST_FILES = 200  # of one model
_FINGERPRINT = 19  # characters of one that tell keys apart at a glance


_STYLE = Path(__file__).with_name("report.css").read_text()
_SCRIPT = Path(__file__).with_name("report.js").read_text()
_HEADS = ("State", "Model", "Signer", "Signed", "Verifies until", "What was found")


def page(report: Report) -> str:
    """Return the whole page."""
    policy = (
        f"default-src 'none'; style-src '{_digest(_STYLE)}'; script-src '{_digest(_SCRIPT)}'; "
        "base-uri 'none'; form-action 'none'"
    )
    count = len(report.rows)
    root, version = _text(report.root), escape(modelseal.__version__)
    heads = "".join(f'<th scope="col"><button type="button">{one}</button></th>' for one in _HEADS)
    worst_first = sorted(report.rows, key=lambda row: STATES.index(row.state))
    rows = "".join(_row(row, report.root) for row in worst_first)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Models in {root}</title><style>{_STYLE}</style></head>\n<body>"
        f"<header><h1>Models in <code>{root}</code></h1>"
        f"<p>{count:,} {'model' if count == 1 else 'models'}, verified {_time(report.at)} UTC"
        f" by modelseal {version}</p></header>\n{_bar(report)}"
        f'<div class="wide"><table><thead><tr>{heads}</tr></thead>\n<tbody>{rows}</tbody></table>'
        '<p id="none" hidden>No model fits.</p></div>\n'
        "<footer>Signed means: by whom, and that no byte changed. It does not mean that a model is "
        f"safe to run.</footer>\n<script>{_SCRIPT}</script></body></html>\n"
    )


def _bar(report: Report) -> str:
    chips = "".join(
        f'<button type="button" aria-pressed="false" data-state="{state}">'
        f'<b class="{state}">{count:,}</b>{state}</button>'
        for state, count in report.counts().items()
    )
    field = '<input type="search" placeholder="Filter by name, signer, file" aria-label="Filter">'
    return f'<div class="bar" hidden>{chips}{field}</div>\n'


def _row(row: Row, root: str) -> str:
    verdict = row.verdict
    signers = "<br>".join(_signer(one) for one in verdict.signers)
    state = f'<span class="state {row.state}">{row.state}</span>'
    cells = (
        f'<td data-key="{STATES.index(row.state)}">{state}</td>',
        f"<td><code>{_text(verdict.model.removeprefix(f'{root}/'))}</code></td>",
        f"<td>{signers or _NOTHING}</td>",
        _moment(verdict.time),
        _moment(verdict.until),
        f"<td>{_found(row)}</td>",
    )
    return f'<tr data-state="{row.state}">{"".join(cells)}</tr>\n'


def _signer(signer: Signer) -> str:
    """Return who signed; of a fingerprint the beginning, all of it on demand."""
    if signer.kind != "key":
        return _text(signer.subject)
    short = signer.subject[:_FINGERPRINT]
    return f'<code title="{_text(signer.subject)}">{_text(short)}\N{HORIZONTAL ELLIPSIS}</code>'


_NOTHING = '<span class="soft">\N{EN DASH}</span>'


def _found(row: Row) -> str:
    verdict = row.verdict
    if row.state in {"accepted", "expiring"}:
        return _NOTHING
    hint = f'<p class="soft">{_text(verdict.hint)}</p>' if verdict.hint else ""
    sentence = f"{_text(verdict.message)} <code>{_text(verdict.code)}</code>"
    files = [(word, name) for word, names in verdict.diff.groups() for name in names]
    if not files:
        return f"<p>{sentence}</p>{hint}"
    items = "".join(
        f"<li>{word} <code>{_text(name)}</code></li>" for word, name in files[:_MOST_FILES]
    )
    more = len(files) - _MOST_FILES
    rest = f"<li>and {more:,} more</li>" if more > 0 else ""
    title = f"{len(files):,} {'file' if len(files) == 1 else 'files'} not as signed"
    inside = f"<p>{sentence}</p><ul>{items}{rest}</ul>"
    return f"<details><summary>{title}</summary>{inside}</details>{hint}"


def _moment(time: datetime | None) -> str:
    key = "" if time is None else time.isoformat()
    return f'<td data-key="{key}">{_NOTHING if time is None else _time(time)}</td>'


def _time(time: datetime) -> str:
    return f"{time:%Y-%m-%d %H:%M}"


def _text(value: str) -> str:
    return escape(shown(value, _LONGEST))


def _digest(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
