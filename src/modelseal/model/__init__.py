# SPDX-License-Identifier: Apache-2.0
"""From a path to the manifest of the model that lies there."""
