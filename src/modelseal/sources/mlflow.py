# SPDX-License-Identifier: Apache-2.0
"""`models:/NAME/VERSION` or `models:/NAME@ALIAS`: a version in an MLflow registry.

By mlflow-skinny, which decides which registry it is, with which credentials: MLFLOW_TRACKING_URI,
MLFLOW_TRACKING_USERNAME and so on. An alias becomes the version that it is now. Versions do not
change by themselves, but whoever can write the artifacts can change their bytes: a pin notices.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import requests
from mlflow.artifacts import download_artifacts, list_artifacts
from mlflow.environment_variables import MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR
from mlflow.exceptions import MlflowException
from mlflow.tracking import MlflowClient

from modelseal.errors import FormatError
from modelseal.sources.base import (
    MOST_OBJECTS,
    Object,
    Resolved,
    access_denied,
    changed_at_source,
    no_such_revision,
    transfer_failed,
)
from modelseal.sources.staging import checked
from modelseal.sources.uri import bad_uri

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.sources.base import Count

_URI = re.compile(r"models:/(?P<name>[^/@]+)(/(?P<version>[0-9]+)|@(?P<alias>[^/@]+))")
_HOW = "Write models:/NAME/VERSION or models:/NAME@ALIAS."
_DENIED = {401, 403}
_NONE = {404}
_CREDENTIALS = "Set MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD, or its token."
_LOOK = "Check name and version, and MLFLOW_TRACKING_URI."
_MOST_FOLDERS = 10_000


class At:
    """The version that a URI names."""

    def __init__(self, uri: str) -> None:
        match = _URI.fullmatch(uri)
        if match is None:
            raise bad_uri(uri, _HOW)
        self._uri, self._name = uri, match["name"]
        self._version, self._alias = match["version"], match["alias"]
        self._place = ""
        MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR.set(False)  # type: ignore[no-untyped-call] # has no types

    def resolve(self) -> Resolved:
        """Return the files of the version; see `Source`."""
        with self._translated():
            client = MlflowClient()
            found = (
                client.get_model_version(self._name, self._version)
                if self._version
                else client.get_model_version_by_alias(self._name, self._alias)
            )
            self._place = client.get_model_version_download_uri(self._name, str(found.version))
            objects = checked(tuple(self._listed()), MOST_OBJECTS)
        return Resolved(f"models:/{self._name}/{found.version}", self._name, objects)

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where the file is now; see `Source`."""
        into = folder / one.name.replace("/", "%2F")
        into.mkdir(exist_ok=True)
        with self._translated():
            path = Path(download_artifacts(artifact_uri=self._under(one.name), dst_path=str(into)))
        if path.is_symlink() or not path.is_file() or path.stat().st_size != one.size:
            raise changed_at_source(self._uri, one.name)
        count(one.size)
        return path

    def _listed(self) -> Iterator[Object]:
        folders = [""]
        for number, folder in enumerate(folders):
            if number > _MOST_FOLDERS:
                message = f"The model has more than {_MOST_FOLDERS:,} folders."
                raise FormatError("too-many-files", message)
            for found in list_artifacts(artifact_uri=self._under(folder)):
                # What is before depends on the store.
                last = found.path.rpartition("/")[2]
                name = f"{folder}/{last}" if folder else last
                if found.is_dir:
                    folders.append(name)
                else:
                    yield Object(name, found.file_size)

    def _under(self, name: str) -> str:
        return f"{self._place.rstrip('/')}/{name}" if name else self._place

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn an error of the library into one that says what to do."""
        try:
            yield
        except MlflowException as error:
            status = error.get_http_status_code()  # type: ignore[no-untyped-call] # has no types
            if status in _DENIED:
                raise access_denied(self._uri, _CREDENTIALS) from error
            if status in _NONE:
                raise no_such_revision(self._uri, _LOOK) from error
            if error.error_code == "INVALID_PARAMETER_VALUE":
                raise no_such_revision(self._uri, _LOOK) from error
            raise transfer_failed(self._uri, error.error_code) from error
        except requests.RequestException as error:
            raise transfer_failed(self._uri, type(error).__name__) from error
