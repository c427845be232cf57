# SPDX-License-Identifier: Apache-2.0
"""The log of a running instance: one event a line on stderr, without tokens, codes or queries."""

from __future__ import annotations

import json
import logging
import sys
import time


def configure(*, as_json: bool) -> None:
    """Send the instance's events, and the web server's errors, to stderr."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(_Line(as_json=as_json))
    for name, level in (("modelseal.instance", logging.INFO), ("uvicorn", logging.ERROR)):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(level)
        logger.propagate = False


class _Line(logging.Formatter):
    """`fields` of a record are its details."""

    def __init__(self, *, as_json: bool) -> None:
        super().__init__()
        self._as_json = as_json

    def format(self, record: logging.LogRecord) -> str:
        moment = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(record.created))
        fields = dict(getattr(record, "fields", {}))
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        if self._as_json:
            head = {"time": moment, "level": record.levelname.lower(), "event": record.getMessage()}
            return json.dumps(head | fields)
        details = " ".join(f"{name}={json.dumps(value)}" for name, value in fields.items())
        return f"{moment} {record.getMessage()} {details}".rstrip()
