# SPDX-License-Identifier: Apache-2.0
"""Where models live: hubs, buckets, registries. Each becomes files in a private folder."""
