# SPDX-License-Identifier: Apache-2.0
"""`python -m modelseal`."""

from modelseal.cli import main

main()
