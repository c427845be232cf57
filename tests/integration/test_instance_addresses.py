# SPDX-License-Identifier: Apache-2.0
"""An instance with a name, with TLS of its own, and behind a real nginx."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from pathlib import Path

import pytest
from patience import PATIENCE, wait_until
from private_ca import PAST
from tls_files import tls_files

from modelseal.instance.users import format_user

MODELSEAL = str(Path(sys.executable).with_name("modelseal"))


def run(*arguments, env=None):
    return subprocess.run(
        [MODELSEAL, *map(str, arguments)], capture_output=True, text=True, timeout=PATIENCE,
        check=False, env=os.environ | (env or {}),
    )  # fmt: skip


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def ask(url, files, **headers):
    context = ssl.create_default_context(cafile=files.ca)
    request = urllib.request.Request(url, headers=headers)
    with urllib.request.urlopen(request, context=context, timeout=PATIENCE) as answer:
        return answer.read()


def sign_and_verify(instance, files, artifact, home):
    """Sign and verify with files, and then by the URL, which goes through TUF."""
    env = files.environment | {"HOME": str(home), "XDG_DATA_HOME": str(home / "data")}
    who = ("--identity", "alice@example.com", "--issuer", instance.url)
    signed = run(
        "sign", artifact, "--identity-token", instance.token(),
        "--trust-config", instance.trust_config, env=env,
    )  # fmt: skip
    assert signed.returncode == 0, signed.stderr
    root = ("--trusted-root", instance.trusted_root)
    assert run("verify", artifact, *who, *root, env=env).returncode == 0
    (home / "root.json").write_bytes(ask(f"{instance.url}/root.json", files))
    added = run("trust", "add", instance.url, home / "root.json", env=env)
    assert added.returncode == 0, added.stderr
    verified = run("verify", artifact, *who, "--instance", instance.url, "--refresh", env=env)
    assert verified.returncode == 0, verified.stderr


def test_tls_on_a_named_host(start_instance, artifact, tmp_path):
    files = tls_files(tmp_path / "tls", "localhost")
    with start_instance(tmp_path, "--host", "localhost", *files.options) as instance:
        assert instance.url.startswith("https://localhost:")
        config = json.loads(ask(f"{instance.url}/.well-known/openid-configuration", files))
        assert config["issuer"] == instance.url
        sign_and_verify(instance, files, artifact, tmp_path)


def served_certificate(url):
    host, port = url.removeprefix("https://").split(":")
    return ssl.get_server_certificate((host, int(port)), timeout=PATIENCE)


def test_a_renewed_certificate_and_new_users_are_taken_without_a_restart(start_instance, tmp_path):
    files = tls_files(tmp_path / "tls", "127.0.0.1")
    users = tmp_path / "users"
    users.write_text(format_user("alice@example.com", "secret"))
    log = tmp_path / "instance.log"

    def reload(event):
        before = log.read_text().count(event)
        instance.process.send_signal(signal.SIGHUP)
        wait_until(lambda: log.read_text().count(event) > before, event)

    with start_instance(tmp_path, *files.options, "--users", str(users)) as instance:
        first = served_certificate(instance.url)
        tls_files(tmp_path / "tls", "127.0.0.1")
        reload(" reloaded")
        second = served_certificate(instance.url)
        assert second == files.certificate.read_text() != first
        tls_files(tmp_path / "tls", "127.0.0.1", period=PAST)
        reload(" not-reloaded")
        users.write_text("nonsense")
        reload(" not-reloaded")
        assert served_certificate(instance.url) == second
    assert "is valid from" in log.read_text()


@pytest.mark.parametrize(
    ("names", "period", "message"),
    [(["localhost"], PAST, "is valid from"), (["sigstore.corp"], None, "is not for")],
)
def test_a_certificate_that_no_client_would_take(tmp_path, names, period, message):
    files = tls_files(tmp_path / "tls", *names, **({"period": period} if period else {}))
    refused = run("instance", "up", "--data", tmp_path / "d", "--host", "localhost", *files.options)
    assert refused.returncode == 2
    assert "tls-certificate" in refused.stderr
    assert message in refused.stderr


def test_a_public_url_asks_for_passwords_also_on_loopback(tmp_path):
    """Whatever forwards to this port, others can reach it."""
    url = ("--public-url", "https://sigstore.corp")
    refused = run("instance", "up", "--data", tmp_path / "data", *url)
    assert refused.returncode == 2
    assert "open-sign-in" in refused.stderr


def test_the_public_url_is_remembered(start_instance, tmp_path):
    url = f"http://localhost:{free_port()}"
    with start_instance(tmp_path, "--public-url", url) as first:
        assert first.url == url
        trust = first.trust_config.read_text()
        assert f'"url": "{url}"' in trust
        settings = json.loads((first.data / "state" / "instance.json").read_bytes())
    with start_instance(tmp_path, "--port", str(free_port())) as second:
        assert second.url == url
        assert second.trust_config.read_text() == trust
    assert settings["port"] != int(url.rpartition(":")[2])


# -- nginx ---------------------------------------------------------------------------------------

NGINX = shutil.which("nginx") or shutil.which("/usr/sbin/nginx")
DOCS = Path(__file__).resolve().parents[2] / "docs" / "instance.md"


def nginx_configuration(files, listen, instance_port, folder):
    """Return the server of docs/instance.md, with the names and ports of this test."""
    page = DOCS.read_text()
    server = page.partition("```nginx\n")[2].partition("```")[0]
    for documented, here in (
        ("listen 443 ssl", f"listen 127.0.0.1:{listen} ssl"),
        ("sigstore.corp", "localhost"),
        ("/etc/nginx/tls.pem", str(files.certificate)),
        ("/etc/nginx/tls.key", str(files.key)),
        ("127.0.0.1:8100", f"127.0.0.1:{instance_port}"),
    ):
        assert documented in server
        server = server.replace(documented, here)
    places = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return (
        f"daemon off; pid {folder}/pid; error_log stderr; events {{}}\n"
        f"http {{ access_log off; {places}\n{server}}}\n"
    )


@contextmanager
def nginx(configuration, port, folder):
    path = folder / "nginx.conf"
    path.write_text(configuration)
    with subprocess.Popen([NGINX, "-p", folder, "-e", "stderr", "-c", path]) as process:
        try:
            wait_until(lambda: answers(port), "nginx")
            assert process.poll() is None
            yield
        finally:
            process.terminate()
            process.wait(timeout=PATIENCE)


def answers(port):
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


@pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light")
def test_behind_nginx(start_instance, artifact, tmp_path):
    files = tls_files(tmp_path / "tls", "localhost")
    outside, inside = free_port(), free_port()
    proxy = tmp_path / "nginx"
    proxy.mkdir()
    configuration = nginx_configuration(files, outside, inside, proxy)
    options = ("--public-url", f"https://localhost:{outside}", "--port", str(inside))
    with (
        start_instance(tmp_path, *options, "--proxy", "127.0.0.1") as instance,
        nginx(configuration, outside, proxy),
    ):
        assert instance.url == f"https://localhost:{outside}"
        sign_and_verify(instance, files, artifact, tmp_path)
        ask(f"{instance.url}/checkpoint", files, **{"X-Forwarded-For": "192.0.2.7"})
    last = (tmp_path / "instance.log").read_text().splitlines()[-1]
    # nginx adds whom it saw to what the client claims; only the former is believed.
    assert '"/checkpoint"' in last
    assert 'client="127.0.0.1"' in last
    assert "192.0.2.7" not in last
