# SPDX-License-Identifier: Apache-2.0
"""Keys in AWS KMS: the service signs digests.

The URI is that of other Sigstore clients, awskms://[ENDPOINT]/KEY: KEY is an id, an ARN or
`alias/NAME`. Credentials and region are found as the AWS command line finds them.
"""

from __future__ import annotations

import os
import re
from contextlib import contextmanager
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import boto3
from botocore import exceptions as failed
from botocore.config import Config
from cryptography.hazmat.primitives.asymmetric import ec

from modelseal.errors import SignInNeeded, Undecided, UsageError, shown
from modelseal.trust import signature

if TYPE_CHECKING:
    from collections.abc import Iterator

    from modelseal.trust.signature import HashName, PublicKey

_URI = re.compile(
    r"(?i:awskms)://(?P<host>[A-Za-z0-9.-]+|\[[0-9a-fA-F:]+\])?(?P<port>:[0-9]{1,5})?/"
    r"(?P<key>[A-Za-z0-9:/_-]{1,2048})"
)
_ARN = re.compile(r"arn:[a-z0-9-]+:kms:(?P<region>[a-z0-9-]+):[0-9]{12}:(key|alias)/.+")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_PATIENCE = Config(
    connect_timeout=5, read_timeout=20, retries={"mode": "standard", "total_max_attempts": 3}
)
_DIRECT = _PATIENCE.merge(Config(proxies={}))  # plain HTTP stays on this machine
# What the service says (its error code) -> what it means; all else is "signer-failed"
_MISSING = {"NotFoundException", "InvalidArnException"}
_DENIED = {"AccessDeniedException", "AccessDenied"}
_UNKNOWN = {
    "UnrecognizedClientException", "InvalidClientTokenId", "InvalidSignatureException",
    "ExpiredTokenException", "ExpiredToken", "MissingAuthenticationTokenException",
    "IncompleteSignature", "SignatureDoesNotMatch", "MissingAuthenticationToken",
}  # fmt: skip


@dataclass(frozen=True)
class KmsKey:
    """One private key in the service."""

    client: Any = field(repr=False)
    name: str
    public: PublicKey

    def public_key(self) -> PublicKey:
        """Return the public key."""
        return self.public

    def sign_digest(self, hash_name: HashName, digest: bytes) -> bytes:
        """Return the signature of a digest, as `HeldKey` says.

        Raises:
            UsageError, Undecided: the key is gone, access is denied, the service fails.
        """
        is_ec = isinstance(self.public, ec.EllipticCurvePublicKey)
        kind = "ECDSA_SHA_" if is_ec else "RSASSA_PKCS1_V1_5_SHA_"
        with _translated():
            answer = self.client.sign(
                KeyId=self.name,
                Message=digest,
                MessageType="DIGEST",
                SigningAlgorithm=kind + hash_name.removeprefix("sha"),
            )
        return _bytes(answer, "Signature")


def open_key(uri: str) -> KmsKey:
    """Return the private key in AWS KMS that `uri` names.

    Raises:
        UsageError: a wrong URI, no region, no such key. SignInNeeded: no credentials, or not taken.
        FormatError: a key of a kind that is not taken. Undecided: denied, unreachable.
    """
    match = _URI.fullmatch(uri)
    if match is None or (match["port"] and not match["host"]):
        raise UsageError(
            "bad-key-uri",
            "This is no URI of a key in AWS KMS.",
            "For example: awskms:///alias/release, or awskms://ENDPOINT/KEY",
        )
    arn = _ARN.fullmatch(match["key"])
    with _translated():
        client = boto3.session.Session().client(
            "kms",
            # The variable of the AWS command line, which boto3 does not read; AWS's own tools take
            # an empty one as none.
            region_name=arn["region"] if arn else os.environ.get("AWS_REGION") or None,
            endpoint_url=_endpoint(match["host"], match["port"] or ""),
            config=_DIRECT if match["host"] in _LOOPBACK else _PATIENCE,
        )
        answer = client.get_public_key(KeyId=match["key"])
    return KmsKey(client, match["key"], signature.load_der(_bytes(answer, "PublicKey")))


def _endpoint(host: str | None, port: str) -> str | None:
    """Return the URL of an endpoint; only on this machine, where emulators run, is it not HTTPS."""
    if host is None:
        return None
    return f"{'http' if host in _LOOPBACK else 'https'}://{host}{port}"


def _bytes(answer: Any, name: str) -> bytes:  # noqa: ANN401 - boto3 has no types
    value = answer.get(name)
    if not isinstance(value, bytes):
        raise Undecided("signer-failed", f"AWS KMS answered without {name}.")
    return value


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except failed.ClientError as error:
        raise _answered(error) from error
    except (failed.NoCredentialsError, failed.CredentialRetrievalError) as error:
        raise _no_credentials("There are no AWS credentials, or they cannot be read.") from error
    except (failed.PartialCredentialsError, failed.TokenRetrievalError) as error:
        raise _no_credentials("The AWS credentials are not complete.") from error
    except (failed.NoRegionError, failed.ProfileNotFound, failed.InvalidRegionError) as error:
        raise UsageError(
            "kms-settings",
            f"The AWS settings do not say where the key is: {type(error).__name__}.",
            "Name the key by its ARN, or set AWS_REGION; check AWS_PROFILE.",
        ) from error
    except (failed.ConnectionError, failed.HTTPClientError) as error:  # also TLS and proxies
        raise _unreachable(error) from error
    except (failed.BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no URL
        # no text: it may hold what was sent
        raise Undecided("signer-failed", f"AWS KMS fails: {type(error).__name__}.") from error


def _answered(error: failed.ClientError) -> UsageError | Undecided:
    """Return what the error code of an answer means. Messages are left out: they name accounts."""
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in _MISSING:
        return UsageError("no-such-key", "AWS KMS has no such key.", "Check the region and the id.")
    if code in _UNKNOWN:
        return _no_credentials("AWS KMS does not take the credentials.")
    if code in _DENIED or status == HTTPStatus.FORBIDDEN:  # of a proxy, an endpoint of a VPC
        return Undecided(
            "key-denied",
            "AWS KMS does not let these credentials use the key.",
            "They need kms:GetPublicKey and kms:Sign.",
        )
    return Undecided("signer-failed", f"AWS KMS answered '{shown(code, 60)}' (HTTP {status}).")


def _no_credentials(message: str) -> SignInNeeded:
    return SignInNeeded("key-credentials", message, "Sign in as for the AWS command line.")


def _unreachable(error: Exception) -> Undecided:
    return Undecided(
        "key-unreachable",
        f"AWS KMS cannot be reached: {type(error).__name__}.",
        "Check the endpoint, the network and the proxy.",
    )
