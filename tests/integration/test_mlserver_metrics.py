# SPDX-License-Identifier: Apache-2.0
"""What operators see of a real server: metrics with each number of workers, dashboard, alerts."""

from __future__ import annotations

import json
import os
import re
import urllib.request
from pathlib import Path

import output_schema
import promql_parser
import pytest
import yaml
from in_process import invoke
from patience import GRACE, wait_until
from prometheus_client.parser import text_string_to_metric_families

DEPLOY = Path(__file__).parents[2] / "deploy"
OWN = re.compile(r"\bmodelseal_[a-z_]+")


@pytest.fixture(scope="module", params=[0, 1, 2], ids=lambda n: f"workers{n}")
def serving(request, make_site, start_mlserver, verified_settings, tmp_path_factory):
    site = make_site(tmp_path_factory.mktemp("site"))
    models = [site.write("digits"), site.write("tampered")]
    site.sign(*models)
    (models[1] / "model.joblib").write_bytes(site.payload())
    settings = {**verified_settings(site), "load_models_at_startup": True}
    with start_mlserver(site, workers=request.param, **settings) as server:
        yield site, server


def scrape(site):
    """Return the samples at MLServer's metrics endpoint, as (name, labels) -> value."""
    port = json.loads((site.config / "settings.json").read_text())["metrics_port"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=GRACE) as answer:
        families = text_string_to_metric_families(answer.read().decode())
    return {
        (one.name, frozenset(one.labels.items())): one.value
        for family in families
        for one in family.samples
    }


def value(site, name, **labels):
    found = scrape(site)
    return found.get((f"modelseal_{name}", frozenset(labels.items())))


def test_metrics(serving):
    site, server = serving
    wait_until(lambda: value(site, "store_copies") == 1, "the first look at the store")
    accepted = {"model": "digits", "verdict": "accepted", "code": "accepted"}
    before = value(site, "verdicts_total", **accepted)
    assert before >= 1, "what was admitted before MLServer set up its metrics"
    refused = {"model": "tampered", "verdict": "refused", "code": "digest-mismatch"}
    assert value(site, "verdicts_total", **refused) >= 1
    assert server.load("digits").status == 200
    assert value(site, "verdicts_total", **accepted) == before + 1
    assert value(site, "admission_seconds_count", verdict="accepted") == before + 1
    assert value(site, "hashed_bytes_total") > 100_000
    assert value(site, "store_bytes") > 100_000
    wait_until(lambda: value(site, "loaded_models") == 1, "the loaded model")
    assert value(site, "unaccepted_models") == 0
    assert value(site, "policy_reload_successful") == 1
    assert value(site, "expiry_timestamp_seconds", kind="trust_root") > 0

    policy = site.config / "policy.toml"
    text = policy.read_text()
    (digest,) = (dict(k[1])["digest"] for k in scrape(site) if k[0] == "modelseal_policy_info")
    policy.write_text("version = 2")
    wait_until(lambda: value(site, "policy_reload_successful") == 0, "the broken policy")
    assert value(site, "policy_reloads_total", result="failure") >= 1
    assert value(site, "policy_info", digest=digest) == 1
    policy.write_text(text.replace("alice@", "bob@"))
    wait_until(lambda: value(site, "policy_info", digest=digest) == 0, "the new policy")
    code = "identity-mismatch"
    wait_until(lambda: value(site, "unloaded_models_total", code=code) == 1, "the unloading")
    wait_until(lambda: value(site, "loaded_models") == 0, "nothing to be loaded")
    _check_deployed(scrape(site))
    policy.write_text(text)
    wait_until(lambda: server.load("digits").status == 200, "the first policy")


def _check_deployed(found):
    """Check what is under deploy/ against the metrics that this server has."""
    labels = {}
    for name, pairs in found:
        labels.setdefault(name, set()).update(key for key, _ in pairs)
    rules = yaml.safe_load((DEPLOY / "prometheus" / "modelseal-alerts.yml").read_text())
    board = json.loads((DEPLOY / "grafana" / "modelseal.json").read_text())
    expressions = [rule["expr"] for group in rules["groups"] for rule in group["rules"]]
    expressions += [one["expr"] for panel in board["panels"] for one in panel["targets"]]
    assert len(expressions) > 20
    used = set()
    for text in expressions:
        parsed = promql_parser.parse(text.replace("$__rate_interval", "5m"))
        for selector in _selectors(parsed):
            used.add(selector.name)
            assert selector.name in labels, f"{selector.name} of {text}"
            known = labels[selector.name] | {"instance", "job"}
            assert {one.name for one in selector.matchers.matchers} <= known, text
    shown = {name for name in labels if name.startswith("modelseal_")}
    left_out = {name for name in shown - used if not re.search("_(created|sum|count)$", name)}
    assert not left_out, "not on the dashboard"
    variables = [one["query"] for one in board["templating"]["list"] if one["type"] == "query"]
    assert {name for text in variables for name in OWN.findall(text)} <= shown
    places = [tuple(panel["gridPos"].values()) for panel in board["panels"]]
    assert len(set(places)) == len(places)


def _selectors(node):
    """Yield the vector selectors of a parsed expression."""
    if isinstance(node, promql_parser.VectorSelector):
        yield node
    for name in ("expr", "lhs", "rhs", "vector_selector", "args"):
        inner = getattr(node, name, None)
        for one in inner if isinstance(inner, list) else [inner]:
            if one is not None:
                yield from _selectors(one)


def test_server_status(serving):
    _, server = serving
    server.load("digits")
    done = invoke("server", "status", server.url)
    rows = {line.split()[0]: line.split() for line in done.stdout.splitlines()}
    assert rows["digits"] == ["digits", "READY", "accepted"]
    assert rows["tampered"][1:3] == ["UNAVAILABLE", "refused"]
    assert rows["tampered"][-1] == "[digest-mismatch]"
    document = json.loads(invoke("server", "status", server.url, "--format", "json").stdout)
    assert output_schema.problem(document) is None
    assert document["server"]["verifies"] is True


def test_a_model_named_like_the_others(serving):
    """Names come from whoever writes models: they cannot forge a line of the metrics."""
    site, server = serving
    name = 'a"} 1 x{y="b'
    os.mkdir(site.models / name)  # noqa: PTH102 - as is
    assert server.index()[name][1].endswith("[unsigned]")
    assert value(site, "verdicts_total", model=name, verdict="refused", code="unsigned") == 1
