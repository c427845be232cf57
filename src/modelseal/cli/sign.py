# SPDX-License-Identifier: Apache-2.0
"""The command `modelseal sign`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from modelseal.cli._run import (
    byte_progress,
    format_option,
    overwrite_option,
    print_json,
    reporting_errors,
)
from modelseal.errors import ModelSealError, UsageError, shown

if TYPE_CHECKING:
    from modelseal.formats.oms import Manifest
    from modelseal.seal.sign import Signed
    from modelseal.seal.signers import Signer


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--instance", metavar="URL", help="Sign with this instance (trusted before).")
@click.option("--trust-config", metavar="FILE", help="Sign with the services in this trust config.")
@click.option("--staging", is_flag=True, help="Sign with the Sigstore staging instance.")
@click.option(
    "--identity-token",
    metavar="TOKEN",
    envvar="MODELSEAL_IDENTITY_TOKEN",
    help="OIDC token, or the file that holds it. Default: that of the CI system, or a browser.",
)
@click.option("--bundle", metavar="FILE", help="Where to write the bundle of a single model.")
@click.option(
    "--key",
    metavar="PEM|URI",
    help="Sign with this private key: a PEM file, pkcs11: or awskms: (docs/keys.md).",
)
@click.option("--password-env", metavar="NAME", help="The variable with its password or PIN.")
@click.option("--certificate", metavar="PEM", help="The key's certificate, of a CA of your own.")
@click.option("--certificate-chain", metavar="PEM", help="The CAs between it and the root.")
@click.option("--oms", "as_oms", is_flag=True, help="Sign a file as OpenSSF model signature too.")
@click.option(
    "--hash-type",
    default="sha256",
    type=click.Choice(["sha256", "blake2b", "blake3"]),
    show_default=True,
    help="The hash of an OpenSSF model signature.",
)
@click.option(
    "--manifest", metavar="FILE", help="Sign these digests (of `modelseal digest`), read no model."
)
@click.option("--shard-size", type=int, metavar="BYTES", help="Sign by shards of this size.")
@click.option("--allow-symlinks", is_flag=True, help="Follow links that stay in the model.")
@click.option(
    "--ignore-path",
    "ignored",
    multiple=True,
    metavar="PATH",
    type=click.Path(path_type=Path),
    help="Leave this path of the model out; may be repeated. Whoever verifies is told.",
)
@overwrite_option
@click.option("--add", is_flag=True, help="Put the signature beside those that are there.")
@click.option(
    "--update",
    is_flag=True,
    help="Sign again: read only files that changed since the last --update, replace the bundle.",
)
@click.option("--legacy-files", is_flag=True, help="Also write FILE.sig, FILE.crt, FILE.sigstore.")
@format_option
@reporting_errors
def command(
    paths: tuple[Path, ...],
    instance: str | None,
    trust_config: str | None,
    identity_token: str | None,
    bundle: str | None,
    key: str | None,
    password_env: str | None,
    certificate: str | None,
    certificate_chain: str | None,
    hash_type: str,
    manifest: str | None,
    shard_size: int | None,
    ignored: tuple[Path, ...],
    output: str,
    *,
    as_oms: bool,
    allow_symlinks: bool,
    staging: bool,
    overwrite: bool,
    add: bool,
    update: bool,
    legacy_files: bool,
) -> None:
    """Sign models, keyless with Sigstore, or with a key.

    A file gets FILE.sigstore.json beside it (what sigstore and cosign read), a folder an OpenSSF
    model signature, model.sig, inside it. Several models need one sign-in. The public instance
    publishes your identity for ever. With --add a further signature, model.sig.2 and so on, joins
    those over the same files.

    \b
    Examples:
      modelseal sign model.joblib --trust-config trust.json
      modelseal sign models/*/ --instance https://sigstore.example
      modelseal sign model/ --identity-token "$TOKEN" --overwrite
      modelseal sign model/ --key release.key --password-env KEY_PASSWORD
      modelseal sign model/ --key awskms:///alias/release
    """
    from modelseal.formats import oms
    from modelseal.seal.sign import Way, sign_all

    if add and (overwrite or bundle or manifest or update):
        message = "--add has a place of its own and takes no --overwrite, --update or --bundle."
        raise UsageError("bad-options", message)
    if update and manifest:
        raise UsageError("bad-options", "With --manifest no file is read; leave out --update.")
    asked = (identity_token, instance, trust_config, staging or None)
    signer = _signer(key, password_env, certificate, certificate_chain, asked)
    how = oms.serialization(hash_type, shard_size=shard_size, allow_symlinks=allow_symlinks)
    with byte_progress("Hashing") as progress:
        made = sign_all(
            paths,
            identity_token=_token(identity_token),
            instance=instance,
            trust_config=trust_config,
            staging=staging,
            bundle=bundle,
            overwrite=overwrite,
            legacy_files=legacy_files,
            progress=progress,
            signer=signer,
            way=Way(how, ignored, as_oms, _known(manifest), add, update),
        )
    if output == "json":
        print_json([signed.to_dict() for signed in made])
        return
    for signed in made:
        _print(signed)


def _print(signed: Signed) -> None:
    click.echo(click.style("SIGNED ", fg="green", bold=True) + shown(str(signed.path)))
    click.echo(f"  signer     {shown(str(signed.signer))}")
    click.echo(f"  log index  {'not logged' if signed.log_index is None else signed.log_index}")
    click.echo(f"  bundle     {shown(str(signed.bundle))}")


def _signer(
    key: str | None,
    password_env: str | None,
    certificate: str | None,
    chain: str | None,
    keyless: tuple[object, ...],
) -> Signer | None:
    """Return the signer with the private `key`, None if signing is keyless."""
    if key is None:
        if (password_env, certificate, chain) != (None, None, None):
            raise UsageError("bad-options", "A certificate or password goes with a --key.")
        return None
    if any(option is not None for option in keyless):
        raise UsageError("bad-options", "Sign with a --key or with an identity, not with both.")
    if certificate is None and chain is not None:
        raise UsageError("bad-options", "A --certificate-chain goes with a --certificate.")
    from modelseal.seal import keys
    from modelseal.seal.signers import schemes
    from modelseal.seal.signers.key import KeySigner, with_certificate

    private = schemes.load(key, keys.password_from(password_env))
    if certificate is None:
        return KeySigner(private)
    above = keys.load_certificates(Path(chain)) if chain else ()
    return with_certificate(private, keys.load_certificates(Path(certificate)), above)


def _known(path: str | None) -> Manifest | None:
    if path is None:
        return None
    from modelseal.files import read_bounded
    from modelseal.model import manifest

    return manifest.from_json(read_bounded(Path(path), manifest.LIMIT, "manifest"))


def _token(value: str | None) -> str | None:
    """Return the token itself; like cosign, take a file in its place (a token has no slash).

    What is neither is never shown: it may be most of a token.
    """
    if value is None or value.count(".") == 2:  # noqa: PLR2004 - the form of a JWT
        return value
    from modelseal.errors import SignInNeeded
    from modelseal.files import read_bounded, there

    try:
        found = there(Path(value))
    except ModelSealError:
        found = False
    if not found:
        message = "The identity token is malformed, and no file of that name holds one."
        raise SignInNeeded("token-malformed", message, "Get a new token.")
    return read_bounded(Path(value), 64 * 1024, "identity token").decode(errors="replace").strip()
