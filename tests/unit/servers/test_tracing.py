# SPDX-License-Identifier: Apache-2.0
"""Spans reach whoever configured OpenTelemetry, and are free for everybody else."""

from __future__ import annotations

import subprocess
import sys

from patience import PATIENCE

from modelseal.servers.tracing import span

CONFIGURED = """
import asyncio, sys
from opentelemetry import trace
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
exporter = InMemorySpanExporter()
provider = TracerProvider()
provider.add_span_processor(SimpleSpanProcessor(exporter))
trace.set_tracer_provider(provider)
from modelseal.servers.tracing import span
with trace.get_tracer("server").start_as_current_span("request") as outer:
    with span("admit", model="digits") as note:
        note("verdict", "refused")
(one, request) = exporter.get_finished_spans()
assert one.name == "modelseal.admit", one.name
assert dict(one.attributes) == {"modelseal.model": "digits", "modelseal.verdict": "refused"}
assert one.parent.span_id == request.context.span_id
"""


def test_a_span_is_part_of_the_request():
    subprocess.run([sys.executable, "-c", CONFIGURED], check=True, timeout=PATIENCE)


def test_nobody_configured_it():
    with span("admit", model="digits") as note:
        note("code", "accepted")


def test_nobody_installed_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with span("admit", model="digits") as note:
        note("code", "accepted")
