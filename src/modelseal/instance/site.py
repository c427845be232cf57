# SPDX-License-Identifier: Apache-2.0
"""The pages for whoever wants to know what was signed here, and how to trust it."""

from __future__ import annotations

import re
import shlex
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from modelseal.instance import entry, health, html, index
from modelseal.instance.refused import Refused
from modelseal.instance.tlog import LOG

if TYPE_CHECKING:
    from collections.abc import Iterable

    from modelseal.instance.index import Row
    from modelseal.instance.services import Services

_NEWEST = 10
_RESULTS = 50
_QUERY_LIMIT = 512
_DIGEST = re.compile(r"(?:sha(?:256|384|512):)?([0-9a-f]{64}|[0-9a-f]{96}|[0-9a-f]{128})")
_INDEX = re.compile(r"#?(0|[1-9][0-9]{0,15})")

_LIMITS = """<h2>What an entry does not prove</h2><ul>
<li><b>That a model is safe.</b> It proves who signed which bytes, not that they do no harm.</li>
<li><b>When it was signed.</b> The time here is the word of this instance; the signed time is the
timestamp in the bundle.</li>
<li><b>That the operator is honest.</b> One operator holds the keys of this instance, and could sign
as anybody. What was logged can be compared, by whoever keeps an earlier checkpoint.</li>
<li><b>What was signed.</b> The log has a digest only. <code>modelseal verify</code> compares it
with the files.</li></ul>"""


def home(services: Services) -> str:
    """Return the start page."""
    url, root = services.state.url, services.tuf.root()
    fingerprint = f"sha256:{sha256(root).hexdigest()}"
    database = services.log.database
    newest = list(index.search(database, LOG, limit=_NEWEST))
    size = newest[0].position + 1 if newest else 0
    return html.page(
        "Sign and verify with this instance",
        f"<dl><dt>Status</dt><dd>{_status(services)}</dd>"
        f"<dt>Address</dt><dd><code>{escape(url)}</code></dd>"
        f"<dt>Log</dt><dd>{size} entries, <code>{escape(services.state.origin)}</code></dd></dl>"
        + _search_form()
        + "<h2>Trust it</h2><p>Ask its operator for the fingerprint of its root, by another way "
        "than this page, and compare: this page cannot vouch for itself.</p>"
        f"<dl><dt>Fingerprint</dt><dd><code>{fingerprint}</code></dd></dl>"
        + _commands(
            ("modelseal", "trust", "add", url, "--fingerprint", fingerprint),
            ("modelseal", "sign", "MODEL", "--instance", url),
            (
                "modelseal",
                "verify",
                "MODEL",
                "--instance",
                url,
                "--identity",
                "WHO",
                "--issuer",
                url,
            ),
        )
        + '<p>Files: <a href="/root.json">root.json</a> (the TUF root), '
        '<a href="/trusted-root.json">trusted-root.json</a> for verifiers, '
        '<a href="/trust-config.json">trust-config.json</a> for signers. The log is served as '
        '<a href="/checkpoint">checkpoint</a> and tiles.</p>'
        "<h2>Newest entries</h2>" + _list(newest) + _LIMITS,
    )


def _status(services: Services) -> str:
    try:
        health.check(services)
    except Refused as error:
        return f'<span class="bad">Cannot sign.</span> {escape(error.message)}'
    how = "for whoever can reach it, without a password"
    if services.sign_in.users is not None or services.sign_in.closed:
        how = "for whoever signs in"
    return f'<span class="good">Ready to sign</span>, {how}.'


def _commands(*lines: tuple[str, ...]) -> str:
    """Return commands to copy; what others chose, such as an identity, is quoted for the shell."""
    return "".join(f"<pre>{escape(shlex.join(words))}</pre>" for words in lines)


def _search_form(query: str = "") -> str:
    return (
        '<form action="/search" role="search"><label>Find by identity, digest or index'
        f'<input name="q" required maxlength="{_QUERY_LIMIT}" value="{escape(query)}" '
        'placeholder="alice@example.com"></label><button>Search</button></form>'
    )


def _list(rows: Iterable[Row]) -> str:
    return f'<ol class="entries">{"".join(_row(row) for row in rows)}</ol>'


def _row(row: Row) -> str:
    who = f"<b>{escape(row.identity)}</b>" if row.identity else _nobody(row.digest)
    when = f" {_time(row.time)}" if row.time else ""
    digest = f"<code>{row.digest}</code>" if row.digest else ""
    return f'<li><a href="/entries/{row.position}">{row.position}</a> {who}{when}{digest}</li>'


def _nobody(digest: str) -> str:
    return "a key, or a certificate of another CA" if digest else "The first entry names the log."


def _time(moment: int | datetime) -> str:
    moment = datetime.fromtimestamp(moment, UTC) if isinstance(moment, int) else moment
    return f'<time datetime="{moment:%Y-%m-%dT%H:%M:%SZ}">{moment:%Y-%m-%d %H:%M:%S} UTC</time>'


def direct(query: str) -> int | None:
    """Return the index that `query` asks for, None if it asks for something else."""
    match = _INDEX.fullmatch(query.strip())
    return int(match[1]) if match else None


def search(services: Services, query: str, before: str) -> str:
    """Return the page with the entries of an identity or digest, newest first.

    Raises:
        Refused: the query is too long, or `before` no index.
    """
    wanted = query.strip()
    if len(wanted) > _QUERY_LIMIT or (before and direct(before) is None):
        raise Refused(400, "bad-request", "The search is too long, or goes on at no index.")
    digest = _DIGEST.fullmatch(wanted.lower())
    found = list(
        index.search(
            services.log.database, LOG,
            identity="" if digest else wanted,
            digest=digest[1] if digest else "",
            before=direct(before) if before else None, limit=_RESULTS,
        )
    ) if wanted else []  # fmt: skip
    if not found:
        body = f"<p>No entry has <b>{escape(wanted)}</b> as its identity or digest.</p>"
    else:
        body = _list(found)
    if len(found) == _RESULTS:
        older = urlencode({"q": wanted, "before": found[-1].position})
        body += f'<p><a href="/search?{escape(older)}">Older entries</a></p>'
    return html.page("Search", _search_form(wanted) + body)


def entry_page(services: Services, position: int) -> str:
    """Return the page of an entry.

    Raises:
        Refused: there is none.
    """
    shown = entry.look_up(services.log, position)
    if shown.logged is None:
        about = "<p>The first entry names the log; nobody signed anything.</p>"
    else:
        about = "".join(_signed_by(one) for one in shown.certificates) + _logged(shown)
    verify = ""
    who = next((one for one in shown.certificates if one and one.ours), None)
    if who is not None:
        where = ("modelseal", "verify", "MODEL", "--instance", services.state.url)
        verify = "<h2>Verify the model</h2>" + _commands(
            (*where, "--identity", who.identity, "--issuer", who.issuer)
        )
    return html.page(
        f"Entry {position}",
        f"{about}<h2>Checked just now</h2>{_checks(shown)}{verify}{_LIMITS}"
        f"<details><summary>The entry as it was logged</summary><pre>"
        f"{escape(shown.body.decode(errors='replace'))}</pre></details>",
    )


def _signed_by(certificate: entry.Certificate | None) -> str:
    if certificate is None:
        return "<p>Signed by <b>a key</b>, without a certificate that names anybody.</p>"
    if not certificate.ours:
        return (
            f"<p>Signed with a certificate of <b>another CA</b> ({escape(certificate.issued_by)})."
            " This instance does not know whose it is.</p>"
        )
    return (
        f"<p>Signed by <b>{escape(certificate.identity)}</b>, "
        f"who signed in at <code>{escape(certificate.issuer)}</code>.</p>"
    )


def _logged(shown: entry.Shown) -> str:
    if shown.logged is None:
        return ""
    rows = [
        ("Logged", _time(shown.time) if shown.time else "at an unknown time"),
        (shown.logged.algorithm, f"<code>{shown.logged.digest.hex()}</code>"),
        ("Kind", escape(" ".join(shown.logged.kind))),
    ]
    for certificate in filter(None, shown.certificates):
        rows += [
            ("Certificate", f"<code>{certificate.fingerprint}</code>"),
            ("Serial number", f"<code>{certificate.serial}</code>"),
            ("Issued by", escape(certificate.issued_by)),
            ("Valid", f"{_time(certificate.begins)} to {_time(certificate.ends)}"),
            ("Key", escape(certificate.key)),
            *((name, escape(value)) for name, value in certificate.claims if certificate.ours),
        ]
    return "<dl>" + "".join(f"<dt>{name}</dt><dd>{value}</dd>" for name, value in rows) + "</dl>"


def _checks(shown: entry.Shown) -> str:
    checks = [
        (
            shown.included,
            f"It is in the log of {shown.size} entries with the signed root <code>"
            + shown.root.hex() + "</code>.",
        )
    ]  # fmt: skip
    checks += [
        (one.ours, "This instance's CA issued the certificate." if one.ours
         else "This instance's CA did not issue the certificate.")
        for one in shown.certificates if one is not None
    ]  # fmt: skip
    return "<ul>" + "".join(
        f'<li><span class="{"good" if good else "bad"}">{"Yes" if good else "No"}.</span> {text}'
        "</li>"
        for good, text in checks
    ) + "</ul>"  # fmt: skip
