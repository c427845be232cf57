# SPDX-License-Identifier: Apache-2.0
"""What a caller asks to believe: a file, an instance, or the public one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from modelseal.arguments import check_not_empty, warn_deprecated
from modelseal.errors import UsageError

if TYPE_CHECKING:
    from modelseal.trust.trust_root import TrustRoot


class Trust(NamedTuple):
    """Where the trusted root comes from: at most one of the first five; none is public Sigstore.

    `file` is a trusted root or a trust config, whichever it turns out to be. What an `instance`
    (its URL) published is taken from the local cache, unless `refresh` asks TUF for it.
    """

    file: Path | None = None
    trusted_root: Path | None = None
    trust_config: Path | None = None
    instance: str | None = None
    staging: bool = False
    refresh: bool = False

    @classmethod
    def of(cls, given: str | Path | Trust | None, *, refresh: bool = False) -> Trust:
        """Return what `given` means: a path, the URL of an instance, or a value as it is.

        Raises:
            UsageError: it is empty.
        """
        if given is None:
            return cls(refresh=refresh)
        if isinstance(given, Trust):
            return given._replace(refresh=given.refresh or refresh)
        check_not_empty("'trust'", given)
        if str(given).startswith(("http://", "https://")):
            return cls(instance=str(given), refresh=refresh)
        return cls(file=Path(given), refresh=refresh)

    @classmethod
    def of_arguments(
        cls,
        trust: str | Path | Trust | None,
        *,
        trusted_root: str | Path | None = None,
        trust_config: str | Path | None = None,
        instance: str | None = None,
        refresh: bool = False,
    ) -> Trust:
        """Return what `trust` means, or the arguments that there were before it.

        Raises:
            UsageError: more than one is given, or one is empty.
        """
        old = {"trusted_root": trusted_root, "trust_config": trust_config, "instance": instance}
        given = [name for name, value in old.items() if value is not None]
        if not given:
            found = cls.of(trust, refresh=refresh)
            found.check()
            return found
        for name in given:
            check_not_empty(f"'{name}'", old[name])
        named = ", ".join(f"{name}=" for name in given)
        instead = "give trust= instead, a path, a URL or a modelseal.Trust."
        warn_deprecated(f"{named}: {instead}")
        if trust is not None or len(given) > 1:
            raise UsageError(
                "conflicting-trust",
                f"More than one source of trust was given: {named}.",
                f"{instead[:1].upper()}{instead[1:]}",
            )
        return cls(
            trusted_root=None if trusted_root is None else Path(trusted_root),
            trust_config=None if trust_config is None else Path(trust_config),
            instance=instance,
            refresh=refresh,
        )

    @property
    def is_named(self) -> bool:
        """Return whether anything was asked for, be it the public instance of today."""
        return self != Trust()

    def check(self) -> None:
        """Check that at most one source is named.

        Raises:
            UsageError: more than one ("conflicting-trust").
        """
        only_one(
            self.file, self.trusted_root, self.trust_config, self.instance, self.staging or None
        )

    def services_file(self) -> Path | None:
        """Return the trust config whose services sign; None if they are those of an instance.

        Raises:
            UsageError: a trusted root names no services, or more than one source is named.
        """
        self.check()
        if self.trusted_root is not None:
            message = "A trusted root says what to believe, and names no services that sign."
            raise UsageError("conflicting-trust", message, "Give a trust config or an instance.")
        return self.file or self.trust_config

    def resolve(self) -> TrustRoot:
        """Return the root to believe.

        Raises:
            UsageError: more than one was asked for, or a file is to be refreshed. FormatError:
                it is no root. Undecided: the instance is not trusted or does not answer.
        """
        from modelseal.trust import trust_root  # noqa: PLC0415 - 3 ms that a key does without

        self.check()
        if self.file is not None:
            return trust_root.from_any_file(self.file, refresh=self.refresh)
        return trust_root.choose(
            trusted_root=self.trusted_root,
            trust_config=self.trust_config,
            instance=self.instance,
            staging=self.staging,
            refresh=self.refresh,
        )


def only_one(*options: object) -> None:
    """Check that at most one of `options` is given.

    Raises:
        UsageError: more than one.
    """
    if sum(option is not None for option in options) > 1:
        raise UsageError(
            "conflicting-trust",
            "More than one source of trust was given.",
            "Use one of --trusted-root, --trust-config, --instance and --staging.",
        )
