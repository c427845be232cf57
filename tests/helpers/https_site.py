# SPDX-License-Identifier: Apache-2.0
"""An HTTPS site on loopback, with a certificate of its own CA; it can be a bad one."""

from __future__ import annotations

import ssl
import threading
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from private_ca import NOW, TLS, Kind, chain

ADDRESS = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])


@dataclass
class Site:
    url: str
    files: dict[str, bytes]
    etags: dict[str, str] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)
    ranges: bool = True
    redirect: str | None = None
    login: str | None = None
    asked: list[tuple[str, str, str | None]] = field(default_factory=list)


@contextmanager
def serving(folder, files):
    """Give a site with a certificate of a CA that is in `folder`/ca.pem."""
    period = (NOW - timedelta(days=400), NOW + timedelta(days=400))
    holder, ca = chain(
        Kind("root", period=period),
        Kind(
            "tls",
            ca=False,
            usage="digital_signature",
            purpose=TLS,
            extension=ADDRESS,
            period=period,
        ),
    )
    holder.write(folder)
    (folder / "ca.pem").write_bytes(ca.certificate.public_bytes(Encoding.PEM))
    site = Site("", dict(files))

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self):
            name = self.path[1:]
            site.asked.append((self.command, name, self.headers["Range"]))
            if site.login is not None and self.headers["Authorization"] != site.login:
                return self.answer(401)
            if site.redirect is not None:
                return self.answer(302, location=site.redirect)
            if name not in site.files:
                return self.answer(404)
            body = site.files[name]
            start = 0
            if self.headers["Range"] and site.ranges:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
            tag = site.etags.get(name, f'"{hash(body)}"')
            cut = site.cut.pop(name, None) if self.command == "GET" else None
            return self.answer(206 if start else 200, body[start:], cut, etag=tag)

        do_HEAD = do_GET  # noqa: N815 - the name that is called

        def answer(self, status, body=b"", cut=None, **headers):
            self.send_response(status)
            for item in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(*item)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body[:cut])
            self.close_connection = True

        def log_message(self, *arguments):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "leaf.pem", folder / "leaf.key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            site.url = f"https://127.0.0.1:{server.server_port}"
            yield site
        finally:
            server.shutdown()
            thread.join()
