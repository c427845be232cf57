# SPDX-License-Identifier: Apache-2.0
"""Write a model that multiplies by FACTOR: make_onnx.py FILE FACTOR."""

import sys

from onnx import TensorProto, checker, helper, save

rows = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [None]) for name in ("x", "y")]
factor = helper.make_tensor("factor", TensorProto.FLOAT, [1], [float(sys.argv[2])])
node = helper.make_node("Mul", ["x", "factor"], ["y"])
graph = helper.make_graph([node], "scale", rows[:1], rows[1:], [factor])
model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
checker.check_model(model)
save(model, sys.argv[1])
