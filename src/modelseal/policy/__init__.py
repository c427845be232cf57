# SPDX-License-Identifier: Apache-2.0
"""What an operator accepts, and the verdict on one model."""
