# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from modelseal.cli._defaults import JOBS, SIGN_AS, TRUST, add_defaults, apply_defaults, is_token
from modelseal.cli._options import (
    add_format,
    add_jobs,
    add_overwrite,
    add_serialization,
    path_or_uri,
    reading_of,
    trust_of,
)
from modelseal.cli._progress import byte_progress
from modelseal.errors import ModelSealError, UsageError, shown

if TYPE_CHECKING:
    from modelseal.cli._options import Options, Parser
    from modelseal.formats.oms import Manifest
    from modelseal.signing.signed import Signed
    from modelseal.signing.signers import Signer
    from modelseal.signing.signers.witness import Witness

HELP = """\
Sign models, keyless with Sigstore, or with a key.

A file gets FILE.sigstore.json beside it (what sigstore and cosign read), a folder an OpenSSF
model signature, model.sig, inside it. Several models need one sign-in. The public instance
publishes your identity for ever. With --add a further signature, model.sig.2 and so on, joins
those over the same files.

Examples:
  modelseal sign model.joblib --trust-config trust.json
  modelseal sign models/*/ --instance https://sigstore.example
  modelseal sign model/ --identity-token "$TOKEN" --overwrite
  modelseal sign model/ --key release.key --password-env KEY_PASSWORD
  modelseal sign model/ --key awskms:///alias/release
  modelseal sign model/ --key release.key --log --timestamp --trust-config trust.json
"""


def add_options(parser: Parser) -> None:
    """Say which options the command has."""
    add = parser.add_argument
    add(
        "paths", nargs="+", type=path_or_uri, metavar="PATH",
        help="Models: files or folders, or objects of a bucket (s3://BUCKET/KEY).",
    )  # fmt: skip
    keyless = parser.add_argument_group("sign with an identity")
    keyless.add_argument(
        "--identity-token", metavar="TOKEN",
        help="OIDC token, or the file that holds it. [default: $MODELSEAL_IDENTITY_TOKEN, that "
        "of the system it runs on, or a browser: docs/identities.md]",
    )  # fmt: skip
    key = parser.add_argument_group("sign with a key")
    key.add_argument(
        "--key", metavar="PEM|URI",
        help="The private key: a PEM file, pkcs11: or awskms: (docs/keys.md).",
    )  # fmt: skip
    key.add_argument(
        "--password-env", metavar="NAME", help="The variable with its password or PIN."
    )
    key.add_argument(
        "--certificate", metavar="PEM", help="The key's certificate, of a CA of your own."
    )
    key.add_argument("--certificate-chain", metavar="PEM", help="The CAs between it and the root.")
    key.add_argument(
        "--log", action="store_true", help="Put the signature into the transparency log."
    )
    key.add_argument("--timestamp", action="store_true", help="Have the time of it witnessed.")
    services = parser.add_argument_group("whose services, if not those of public Sigstore")
    services.add_argument("--instance", metavar="URL", help="This instance (trusted before).")
    services.add_argument("--trust-config", metavar="FILE", help="The services in this file.")
    services.add_argument("--staging", action="store_true", help="The Sigstore staging instance.")
    what = parser.add_argument_group("what is signed")
    what.add_argument(
        "--oms", dest="as_oms", action="store_true",
        help="Sign a file as OpenSSF model signature too.",
    )  # fmt: skip
    add_serialization(what)
    what.add_argument(
        "--manifest", metavar="FILE",
        help="Sign these digests (of `modelseal digest`), read no model.",
    )  # fmt: skip
    add("--bundle", metavar="FILE", help="Where to write the bundle of a single model.")
    add_overwrite(parser)
    add("--add", action="store_true", help="Put the signature beside those that are there.")
    add(
        "--update", action="store_true",
        help="Sign again: read only files that changed since the last --update, going by the "
        "bundle, which is replaced, and by notes in the cache folder.",
    )  # fmt: skip
    add(
        "--legacy-files", action="store_true",
        help="Also write FILE.sig, FILE.crt, FILE.sigstore.",
    )  # fmt: skip
    add_jobs(parser)
    add_format(parser)
    add_defaults(parser, SIGN_AS, TRUST, JOBS)


def run(options: Options) -> int:
    """Sign; return the exit code."""
    apply_defaults(options, SIGN_AS, JOBS)
    if options.key is None or options.log or options.timestamp:
        apply_defaults(options, TRUST)
    from modelseal.cli._render import is_stdout, print_signed
    from modelseal.formats import oms
    from modelseal.signing.plan import SignOptions
    from modelseal.signing.sign import sign_all

    if options.add and (options.overwrite or options.bundle or options.manifest or options.update):
        raise UsageError(
            "bad-options",
            "--add goes with none of --overwrite, --update, --bundle and --manifest.",
            "Leave them out: the signature gets a place of its own beside those that are there.",
        )
    if options.update and options.manifest:
        raise UsageError("bad-options", "With --manifest no file is read; leave out --update.")
    if options.manifest and _serialized(options):
        raise UsageError(
            "bad-options",
            "--manifest says itself how files are hashed and what is left out.",
            "Give --hash-type, --shard-size, --allow-symlinks and --ignore-path to `digest`.",
        )
    if options.bundle is not None and options.output == "json" and is_stdout(options.bundle):
        raise UsageError(
            "bad-options",
            "With --format json the answer goes to stdout, where the --bundle is to go too.",
            "Write the bundle to a file, or leave out --format json.",
        )
    signer = _signer(options)
    if any(isinstance(path, str) for path in options.paths):
        return _elsewhere(options, signer)
    how = oms.serialization(
        options.hash_type, shard_size=options.shard_size, allow_symlinks=options.allow_symlinks
    )
    known = _known(options.manifest)
    signed: list[Signed] = []
    failed: ModelSealError | None = None
    with byte_progress("Hashing", () if options.manifest else options.paths) as progress:
        try:
            sign_all(
                options.paths,
                identity_token=None if signer else _token(options.identity_token),
                trust=trust_of(options),
                bundle=options.bundle,
                overwrite=options.overwrite,
                legacy_files=options.legacy_files,
                reading=reading_of(options, progress),
                signer=signer,
                options=SignOptions(
                    how, tuple(options.ignored), options.as_oms, known, options.add, options.update
                ),
                done=signed,
            )
        except ModelSealError as error:
            if not signed:
                raise
            failed = error  # of a later model, when others are signed, and perhaps public
    return print_signed(
        signed, progress, of=len(options.paths), failed=failed, as_json=options.output == "json"
    )


def _elsewhere(options: Options, signer: Signer | None) -> int:
    """Sign models in buckets, and none of this machine in the same call; return the exit code."""
    from modelseal.cli._render import print_signed_elsewhere
    from modelseal.cli._sign_elsewhere import sign_elsewhere

    local = ("bundle", "manifest", "add", "update", "legacy_files")
    wrong = [name for name in local if getattr(options, name)]
    if wrong or _serialized(options) or not all(isinstance(path, str) for path in options.paths):
        raise UsageError(
            "bad-options",
            "Models in buckets are signed by SHA-256 of their objects, in a call of their own.",
            "Leave out the paths of this machine, and the options about files and bundles.",
        )
    token = None if signer else _token(options.identity_token)
    with byte_progress("Hashing") as progress:
        signed = [
            sign_elsewhere(
                uri, signer, token, trust_of(options), progress or (lambda _: None),
                overwrite=options.overwrite,
            )
            for uri in options.paths
        ]  # fmt: skip
    return print_signed_elsewhere(signed, as_json=options.output == "json")


def _signer(options: Options) -> Signer | None:
    """Return the signer with the private `--key`, None if signing is keyless."""
    _check_together(options)
    if options.key is None:
        return None
    from modelseal.signing.signers import schemes
    from modelseal.signing.signers.key import KeySigner, with_certificate
    from modelseal.trust import keys, private_keys

    private = schemes.load(options.key, private_keys.password_from(options.password_env))
    if options.certificate is None:
        return KeySigner(private, witness=_witness(options))
    leaf, chain = (
        keys.load_certificates(Path(path)) if path else ()
        for path in (options.certificate, options.certificate_chain)
    )
    return with_certificate(private, leaf, chain, _witness(options))


def _check_together(options: Options) -> None:
    """Check that the options say one way to sign."""
    trust_of(options).check()
    witnessed = options.log or options.timestamp
    named = options.staging or (options.instance, options.trust_config) != (None, None)
    if options.key is None:
        if (options.password_env, options.certificate, options.certificate_chain) != (None,) * 3:
            raise UsageError("bad-options", "A certificate or password goes with a --key.")
        if witnessed:
            raise UsageError(
                "bad-options",
                "--log and --timestamp go with a --key.",
                "Leave them out: with an identity there is always an entry and a timestamp.",
            )
    elif options.identity_token is not None:
        raise UsageError("bad-options", "Sign with a --key or with an identity, not with both.")
    elif named and not witnessed:
        raise UsageError(
            "bad-options",
            "A signature by --key needs no services.",
            "Leave them out, or add --log, --timestamp or both.",
        )
    elif options.certificate is None and options.certificate_chain is not None:
        raise UsageError("bad-options", "A --certificate-chain goes with a --certificate.")


def _witness(options: Options) -> Witness | None:
    if not (options.log or options.timestamp):
        return None
    from modelseal.signing.signers import witness

    return witness.of_instance(trust_of(options), logs=options.log, stamps=options.timestamp)


def _serialized(options: Options) -> bool:
    """Return whether an option says how files become resources."""
    links, chosen = options.allow_symlinks, options.hash_type != "sha256"
    return bool(links or chosen or options.shard_size is not None or options.ignored)


def _known(path: str | None) -> Manifest | None:
    if path is None:
        return None
    from modelseal.files import read_trusted
    from modelseal.model import listing

    return listing.parse(read_trusted(Path(path), listing.LIMIT, "manifest")).manifest


def _token(value: str | None) -> str | None:
    """Return the token itself; like cosign, take a file in its place.

    What is neither is never shown: it may be most of a token.
    """
    if value is None or is_token(value):
        return value
    from modelseal.arguments import check_not_empty
    from modelseal.errors import SignInNeeded
    from modelseal.files import exists, read_trusted

    try:
        found = exists(Path(value))
    except ModelSealError:
        found = False
    if not found:
        message = "The identity token is malformed, and no file of that name holds one."
        raise SignInNeeded("token-malformed", message, "Get a new token.")
    data = read_trusted(Path(value), 64 * 1024, "identity token").strip()
    check_not_empty(f"the identity token in '{shown(value)}'", data)
    return data.decode(errors="replace")
