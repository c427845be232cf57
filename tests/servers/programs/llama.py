# SPDX-License-Identifier: Apache-2.0
"""Serve a GGUF model with llama.cpp's own server: llama.py FILE PORT."""

import signal
import sys

import xllamacpp

parameters = xllamacpp.CommonParams()
parameters.model.path = sys.argv[1]
parameters.n_ctx = 64
parameters.n_parallel = 1
parameters.endpoint_props = True
parameters.port = int(sys.argv[2])
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
signal.pause()
