# SPDX-License-Identifier: Apache-2.0
"""Speed as ratios against a peer in the same run; nothing here decides a test."""
