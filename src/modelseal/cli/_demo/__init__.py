# SPDX-License-Identifier: Apache-2.0
"""The story that `modelseal demo` tells: real parts, on loopback only."""
