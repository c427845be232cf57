# SPDX-License-Identifier: Apache-2.0
"""`hf://ORG/NAME[@REVISION]`: a model repository of the Hugging Face Hub, by huggingface_hub.

Which hub, and with which token, that library decides: HF_ENDPOINT, HF_TOKEN, `hf auth login`. A
revision is a branch, a tag or a commit; it becomes a commit, of which every file is then asked for.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import huggingface_hub
from huggingface_hub import errors
from huggingface_hub.hf_api import RepoFile
from tqdm import tqdm

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

_PATH = re.compile(r"hf://(?P<repository>[\w.-]+/[\w.-]+)(@(?P<revision>[^@]+))?", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40,64}")
_TOKEN = "Sign in with `hf auth login`, or set HF_TOKEN to a token that may read it."  # noqa: S105 - a hint
_LOOK = "Check the name and the revision; a private one looks like none: see HF_TOKEN."


class At:
    """The repository that a URI names."""

    def __init__(self, uri: str) -> None:
        match = _PATH.fullmatch(uri)
        if match is None:
            raise bad_uri(uri, "Write hf://ORG/NAME or hf://ORG/NAME@REVISION.")
        self._uri = uri
        self._repository, self._wanted = match["repository"], match["revision"]
        self._commit = ""

    def resolve(self) -> Resolved:
        """Return the files of the commit that the revision is now; see `Source`."""
        hub = huggingface_hub.HfApi()
        with _translated(self._uri):
            found = hub.model_info(self._repository, revision=self._wanted)
            if not _COMMIT.fullmatch(found.sha or ""):
                raise transfer_failed(self._uri, "the hub names no commit")
            self._commit = str(found.sha)
            listing = hub.list_repo_tree(self._repository, recursive=True, revision=self._commit)
            files = (one for one in listing if isinstance(one, RepoFile))
            objects = [Object(one.path, one.size) for one in islice(files, MOST_OBJECTS + 1)]
        return Resolved(
            f"hf://{self._repository}@{self._commit}",
            self._repository.partition("/")[2],
            checked(objects, MOST_OBJECTS),
        )

    def download(self, one: Object, folder: Path, count: Count) -> Path:
        """Return where the file is now; see `Source`."""
        with _translated(self._uri):
            path = Path(
                huggingface_hub.hf_hub_download(
                    self._repository, one.name, revision=self._commit, local_dir=folder,
                    tqdm_class=_counting(count),
                )
            )  # fmt: skip
        if path.is_symlink() or path.stat().st_size != one.size:
            path.unlink()
            raise changed_at_source(self._uri, one.name)
        return path


def _counting(count: Count) -> type[tqdm]:
    """Return a progress bar that shows nothing and tells `count`."""

    class Counting(tqdm):  # type: ignore[misc] # its package has no types
        def __init__(self, *args: Any, **options: Any) -> None:  # noqa: ANN401 - as the library
            super().__init__(*args, **{**options, "disable": True})

        def update(self, n: float | None = 1) -> None:
            count(int(n or 0))

    return Counting


@contextmanager
def _translated(uri: str) -> Iterator[None]:
    """Turn an error of the library into one that says what to do."""
    try:
        yield
    except (errors.GatedRepoError, errors.DisabledRepoError) as error:
        raise access_denied(uri, _TOKEN) from error
    except (errors.RepositoryNotFoundError, errors.RevisionNotFoundError) as error:
        raise no_such_revision(uri, _LOOK) from error
    except errors.RemoteEntryNotFoundError as error:
        raise changed_at_source(uri, "a file") from error
    except errors.HFValidationError as error:
        raise bad_uri(uri, "Write hf://ORG/NAME or hf://ORG/NAME@REVISION.") from error
    except errors.HfHubHTTPError as error:
        status = error.response.status_code
        if status in {401, 403}:
            raise access_denied(uri, _TOKEN) from error
        raise transfer_failed(uri, f"the hub answers with HTTP status {status}") from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"httpx", "httpx2", "huggingface_hub"}:
            raise
        raise transfer_failed(uri, f"{type(error).__name__}") from error
