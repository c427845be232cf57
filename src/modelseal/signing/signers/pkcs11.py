# SPDX-License-Identifier: Apache-2.0
"""Keys in hardware, through a PKCS#11 module (OASIS PKCS#11 v2.40): the token signs digests.

Each signature has a session of its own, so nothing stays logged in between.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pkcs11
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from pkcs11 import Attribute, KeyType, Mechanism, ObjectClass, TokenFlag
from pkcs11 import exceptions as failed
from pkcs11.util.ec import encode_ec_public_key
from pkcs11.util.rsa import encode_rsa_public_key

from modelseal import files
from modelseal.arguments import check_not_empty
from modelseal.errors import FormatError, Undecided, UsageError, shown
from modelseal.formats import pkcs11_uri
from modelseal.trust import signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.formats.pkcs11_uri import Pkcs11Uri
    from modelseal.trust.signature import HashName, PublicKey

MODULE_VARIABLE = "MODELSEAL_PKCS11_MODULE"
_PIN_LIMIT = 4096  # bytes of a PIN file

_PIN_ERRORS = (
    failed.PinIncorrect, failed.PinInvalid, failed.PinLenRange, failed.PinLocked,
    failed.PinExpired, failed.UserPinNotInitialized, failed.UserNotLoggedIn,
)  # fmt: skip
# DigestInfo of SHA-256 up to the digest (RFC 8017 section 9.2, note 1); RSA signs nothing else here
_SHA256_INFO = bytes.fromhex("3031300d060960864801650304020105000420")


@dataclass(frozen=True)
class TokenKey:
    """One private key on one token."""

    module: str
    uri: Pkcs11Uri
    pin: str | None = field(repr=False)
    public: PublicKey

    def public_key(self) -> PublicKey:
        """Return the public key."""
        return self.public

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        """Return the signature of a digest, as `HeldKey` says.

        Raises:
            UsageError: the key or PIN is no longer right. Undecided: the token fails.
        """
        with _private_key(self.module, self.uri, self.pin) as (_, key):
            again = {"pin": self.pin} if _asks_each_time(key) else {}
            if isinstance(self.public, ec.EllipticCurvePublicKey):
                raw = key.sign(digest, mechanism=Mechanism.ECDSA, **again)
                half = len(raw) // 2  # r and s, of the same length (PKCS#11 v2.40 section 2.3.1)
                return encode_dss_signature(
                    int.from_bytes(raw[:half], "big"), int.from_bytes(raw[half:], "big")
                )
            if hash_name != "sha256":  # unreachable: RSA keys sign SHA-256
                raise FormatError("unsupported-key", "An RSA key signs SHA-256 digests only.")
            made: bytes = key.sign(_SHA256_INFO + digest, mechanism=Mechanism.RSA_PKCS, **again)
            return made


def open_key(uri: str, password: bytes | None) -> TokenKey:
    """Return the private key that the PKCS#11 URI `uri` names; `password` is the user's PIN.

    Raises:
        UsageError: a wrong URI, module or PIN; no such key, or several.
        FormatError: a key of a kind that is not taken. Undecided: the token fails.
    """
    asked = pkcs11_uri.parse(uri)
    module = _module(asked)
    pin = _pin(asked, password)
    with _private_key(module, asked, pin) as (session, key):
        return TokenKey(module, asked, pin, _public_key(session, key))


def _module(asked: Pkcs11Uri) -> str:
    path, name = asked.module_path, "module-path"
    if path is None:
        path, name = os.environ.get(MODULE_VARIABLE), MODULE_VARIABLE
    hint = f"Give it with ?module-path=FILE in the URI, or in {MODULE_VARIABLE}."
    check_not_empty(name, path)
    if path is None:
        raise UsageError("pkcs11-module", "No PKCS#11 module is named.", hint)
    if not Path(path).is_absolute() or not Path(path).is_file():
        message = f"There is no PKCS#11 module '{shown(path)}', named by its whole path."
        raise UsageError("pkcs11-module", message, hint)
    return path


def _pin(asked: Pkcs11Uri, password: bytes | None) -> str | None:
    """Return the PIN: `password`, or what the file of the pin-source has (RFC 7512 section 2.4)."""
    if asked.pin_source is not None:
        if password is not None:
            raise UsageError("bad-options", "Give --password-env or a pin-source, not both.")
        path = re.sub(r"^file:(//(?=/))?", "", asked.pin_source)
        if not Path(path).is_absolute():
            raise UsageError("bad-key-uri", "A pin-source is a file, named by its whole path.")
        password = files.read_trusted(Path(path), _PIN_LIMIT, "PIN").rstrip(b"\r\n")
        check_not_empty(f"the PIN in '{shown(path)}'", password)
    try:
        return None if password is None else password.decode()
    except UnicodeDecodeError:
        raise _bad_pin("The PIN is not UTF-8.") from None  # the error's text has the PIN


@contextmanager
def _private_key(module: str, asked: Pkcs11Uri, pin: str | None) -> Iterator[tuple[Any, Any]]:
    """Give a session on the token and the one private key in it that is `asked` for."""
    with _translated():
        token = _token(module, asked)
        with token.open(user_pin=_login(token, pin)) as session:
            wanted: dict[Attribute, object] = {Attribute.CLASS: ObjectClass.PRIVATE_KEY}
            if asked.label is not None:
                wanted[Attribute.LABEL] = asked.label
            if asked.id is not None:
                wanted[Attribute.ID] = asked.id
            found = list(session.get_objects(wanted))
            yield session, _only(found, "private key on the token")


def _token(module: str, asked: Pkcs11Uri) -> Any:  # noqa: ANN401 - the library's types lack much
    try:
        library = pkcs11.lib(module)
    except (RuntimeError, OSError) as error:  # not a shared library, or not such a one
        message = f"'{shown(module)}' cannot be used as a PKCS#11 module."
        raise UsageError("pkcs11-module", message, shown(str(error))) from error
    found = [
        token
        for slot in library.get_slots(token_present=True)
        if (token := slot.get_token()).flags & TokenFlag.TOKEN_INITIALIZED
        and asked.token in {None, token.label}
        and asked.serial in {None, token.serial.decode(errors="replace")}
        and asked.manufacturer in {None, token.manufacturer_id}
        and asked.model in {None, token.model}
    ]
    return _only(found, "token")


def _login(token: Any, pin: str | None) -> object:  # noqa: ANN401 - as above
    if pin is not None:
        return pin
    if token.flags & TokenFlag.PROTECTED_AUTHENTICATION_PATH:
        return pkcs11.types.PROTECTED_AUTH  # the reader has keys of its own
    if token.flags & TokenFlag.LOGIN_REQUIRED:
        raise _bad_pin("The token wants a PIN.")
    return None


def _only(found: list[Any], what: str) -> Any:  # noqa: ANN401 - as above
    if not found:
        raise UsageError(
            "no-such-key",
            f"The URI names no {what}.",
            "List what there is with: pkcs11-tool --list-slots --list-objects --login",
        )
    if len(found) > 1:
        raise UsageError(
            "ambiguous-key",
            f"The URI names {len(found)} of the sort: {what}.",
            "Add token=, serial=, object= or id= to it.",
        )
    return found[0]


def _public_key(session: Any, key: Any) -> PublicKey:  # noqa: ANN401 - as above
    """Return the public key of the pair, or of the certificate, that has the private key's id."""
    same: dict[Attribute, object] = (
        {Attribute.ID: key.id} if key.id else {Attribute.LABEL: key.label}
    )
    for public in session.get_objects({Attribute.CLASS: ObjectClass.PUBLIC_KEY, **same}):
        if public.key_type == KeyType.EC:
            return signature.load_der(encode_ec_public_key(public))
        if public.key_type == KeyType.RSA:
            return signature.load_der(encode_rsa_public_key(public))
    for one in session.get_objects({Attribute.CLASS: ObjectClass.CERTIFICATE, **same}):
        return signature.accepted(x509.load_der_x509_certificate(one[Attribute.VALUE]).public_key())
    raise UsageError(
        "no-such-key",
        "The token has neither the public key nor a certificate of the private key.",
        "Store one of them on the token, with the id of the private key.",
    )


def _asks_each_time(key: Any) -> bool:  # noqa: ANN401 - as above
    try:
        return bool(key[Attribute.ALWAYS_AUTHENTICATE])
    except failed.AttributeTypeInvalid:  # older modules do not know it
        return False


@contextmanager
def _translated() -> Iterator[None]:
    """Translate what the module or the library says; its texts have no PIN, but are not shown."""
    try:
        yield
    except _PIN_ERRORS as error:
        raise _bad_pin(f"The token does not take the PIN ({type(error).__name__}).") from error
    except failed.PKCS11Error as error:
        raise Undecided(
            "signer-failed",
            f"The token fails: {type(error).__name__}.",
            "Check that it is connected, and that the key may sign.",
        ) from error
    except (ValueError, UnsupportedAlgorithm) as error:  # attributes that are no key or certificate
        raise FormatError("bad-key", "The public key on the token cannot be read.") from error


def _bad_pin(message: str) -> UsageError:
    hint = "Name its environment variable: --password-env. Tokens lock after a few wrong ones."
    return UsageError("key-password", message, hint)
