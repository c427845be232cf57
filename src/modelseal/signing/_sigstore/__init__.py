# SPDX-License-Identifier: Apache-2.0
"""The one place that knows sigstore-python: keyless signing, and verification by its verifier.

Its private names are used here, each for a reason that its public interface gives no way around;
the pinned upper bound of the dependency is what makes that safe.
"""

import logging

# Without a handler Python prints the library's warnings on stderr, between our own lines.
logging.getLogger("sigstore").addHandler(logging.NullHandler())
