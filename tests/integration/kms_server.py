# SPDX-License-Identifier: Apache-2.0
"""An AWS KMS on loopback (moto), in a process of its own; prints its port, then serves.

moto hashes what it is to sign even when MessageType says that it is a digest already, and refuses
in XML. With the argument "as-aws" it does both as AWS does; without, it is a service that signs
something else.
"""

from __future__ import annotations

import sys

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, utils
from moto.core.exceptions import JsonRESTError
from moto.iam import access_control
from moto.kms.utils import ECDSAPrivateKey, RSAPrivateKey
from moto.server import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import make_server

HASHES = {"256": hashes.SHA256(), "384": hashes.SHA384(), "512": hashes.SHA512()}


def ecdsa(self, message, signing_algorithm):
    algorithm = utils.Prehashed(HASHES[signing_algorithm[-3:]])
    return self.private_key.sign(message, ec.ECDSA(algorithm))


def rsa(self, message, signing_algorithm):
    assert signing_algorithm == "RSASSA_PKCS1_V1_5_SHA_256"
    return self.private_key.sign(message, padding.PKCS1v15(), utils.Prehashed(HASHES["256"]))


def refusal(code):
    return lambda *_, **__: JsonRESTError(code, "arn:aws:iam::123456789012:user/somebody")


if __name__ == "__main__":
    if "as-aws" in sys.argv:
        ECDSAPrivateKey.sign, RSAPrivateKey.sign = ecdsa, rsa
        access_control.AccessDeniedError = refusal("AccessDeniedException")
        access_control.InvalidClientTokenIdError = refusal("UnrecognizedClientException")
        access_control.SignatureDoesNotMatchError = refusal("InvalidSignatureException")
    server = make_server(
        "127.0.0.1", 0, DomainDispatcherApplication(create_backend_app), threaded=True
    )
    print(server.server_port, flush=True)
    server.serve_forever()
