# SPDX-License-Identifier: Apache-2.0
"""The two pages that a person sees: who are you, and here is your code."""

from __future__ import annotations

from html import escape
from urllib.parse import urlsplit

from modelseal.instance import html
from modelseal.instance.oidc import OUT_OF_BAND, Authorization

_OPEN_NOTE = (
    "This page asks for no password: whoever can open it can sign as anyone. "
    "It is for a trusted network, for development and for tests."
)
_PLAIN_NOTE = (
    "This page is for a trusted network: without TLS, others on the way can read your password."
)


def sign_in_page(
    authorization: Authorization, *, ask_password: bool, encrypted: bool,
    identity: str = "", complaint: str = "",
) -> str:  # fmt: skip
    """Return the form that asks who signs."""
    hidden = "".join(
        f'<input type="hidden" name="{escape(name)}" value="{escape(value)}">'
        for name, value in authorization.fields.items()
    )
    password = (
        '<label>Password<input name="password" type="password" required '
        'autocomplete="current-password"></label>'
        if ask_password
        else ""
    )
    bad = f'<p class="bad" role="alert">{escape(complaint)}</p>' if complaint else ""
    note = _OPEN_NOTE if not ask_password else "" if encrypted else _PLAIN_NOTE
    about = f'<p class="note">{note}</p>' if note else ""
    return html.page(
        "Sign in to sign",
        f"{about}{bad}"
        f'<form method="post" action="/auth">{hidden}'
        "<label>Identity (an e-mail address or a URI)"
        f'<input name="identity" required autofocus value="{escape(identity)}"></label>'
        f"{password}<button>Sign in</button></form>",
    )


def code_page(code: str) -> str:
    """Return the page that shows `code` for typing it into the client."""
    return html.page(
        "Your verification code",
        f"<p>Enter this code in the program that sent you here:</p><p><code>{escape(code)}</code>"
        "</p><p>It works once, for two minutes.</p>",
    )


def headers(authorization: Authorization) -> dict[str, str]:
    """Return the headers of a page: only the one way out."""
    target = "'self'"
    if authorization.redirect_uri != OUT_OF_BAND:
        # Browsers hold the redirect after a form to the same rule.
        target += f" http://{urlsplit(authorization.redirect_uri).netloc}"
    return html.headers(target)
