# SPDX-License-Identifier: Apache-2.0
"""Private, verified copies of models: what is checked is what is loaded."""
