# SPDX-License-Identifier: Apache-2.0
"""A TUF repository on a port of its own, whose files a test can exchange."""

from __future__ import annotations

import time
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING

from cryptography.hazmat.primitives.asymmetric import ed25519
from small_server import Asked, Said, serving

from modelseal.instance.database import Database
from modelseal.instance.refused import Refused
from modelseal.instance.tuf import TufRepository
from modelseal.trust import embedded

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TARGETS = {"trusted_root.json": embedded.embedded(embedded.STAGING)}  # to verify with only
YEAR = 365 * 86400


@dataclass
class TufSite:
    """What is served: a repository, and files that are served in place of its own."""

    repository: TufRepository
    url: str = ""
    instead: dict[str, Said] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    now: float = field(default_factory=time.time)

    @property
    def root(self) -> bytes:
        return self.repository.root()

    @property
    def fingerprint(self) -> str:
        return sha256(self.root).hexdigest()

    def rotate_root(self) -> None:
        """Sign the next version of the root, as is done when half its life is over."""
        with self.repository.database.transaction() as connection:
            self.repository._sign(connection, self.repository._root(), self.now)

    def answer(self, asked: Asked) -> Said:
        name = asked.path.lstrip("/")
        self.asked.append(name)
        if name in self.instead:
            return self.instead[name]
        try:
            if name.startswith("targets/"):
                return Said(self.repository.target(name.removeprefix("targets/")))
            return Said(self.repository.metadata(name, self.now))
        except Refused as error:
            return Said(b"", error.status)


@contextmanager
def tuf_site(folder: Path, targets: dict[str, bytes] | None = None) -> Iterator[TufSite]:
    """Run a new repository with its database in `folder`, until the end of the block."""
    folder.mkdir()
    with closing(Database(folder / "log.db")) as database:
        site = TufSite(TufRepository(ed25519.Ed25519PrivateKey.generate(), database))
        site.repository.publish(TARGETS if targets is None else targets, site.now)
        with serving(site.answer) as site.url:
            yield site
