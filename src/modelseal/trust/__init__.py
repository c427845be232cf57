# SPDX-License-Identifier: Apache-2.0
"""Where trust comes from: keys, certificates and trusted roots."""
