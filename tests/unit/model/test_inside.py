# SPDX-License-Identifier: Apache-2.0
"""Files that the real libraries wrote, compared by tensor."""

from __future__ import annotations

import gguf
import numpy as np
import pytest
import safetensors.numpy
from gguf.constants import GGML_QUANT_SIZES, GGMLQuantizationType

from modelseal.model import gguf as ours
from modelseal.model import inside

RNG = np.random.default_rng(7)
ARRAYS = {
    "layers.0.weight": RNG.standard_normal((4, 8), dtype=np.float32),
    "layers.0.bias": np.zeros(3, dtype=np.float16),
    "empty": np.zeros((0, 2), dtype=np.float32),
    "ü": np.arange(5, dtype=np.int64),
}


def write_safetensors(path, arrays, metadata):
    safetensors.numpy.save_file(arrays, path, metadata)


def write_gguf(path, arrays, metadata):
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_uint32("llama.block_count", 3)
    writer.add_array("tokenizer.ggml.tokens", ["<s>", "</s>", "a"])
    writer.add_array("tokenizer.ggml.scores", [0.5, 1.5])
    writer.add_key_value("tokenizer.ggml.add_bos_token", 1, gguf.GGUFValueType.BOOL)
    for key, value in metadata.items():
        writer.add_string(key, value)
    for name, array in arrays.items():
        if array.size:  # whose sizes gguf cannot write
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_npz(path, arrays, metadata):
    np.savez_compressed(path, **arrays)


WRITERS = {".safetensors": write_safetensors, ".gguf": write_gguf, ".npz": write_npz}


@pytest.mark.parametrize("suffix", WRITERS)
def test_what_differs_between_files_of_the_real_library(suffix, tmp_path):
    old, new = (tmp_path / f"{name}{suffix}" for name in ("old", "new"))
    write, end = WRITERS[suffix], ".npy" * (suffix == ".npz")
    write(old, ARRAYS, {"template": "{{ a }}", "same": "x"})
    changed = ARRAYS["layers.0.weight"].copy()
    changed[3, 7] += 1
    arrays = {**ARRAYS, "layers.0.weight": changed, "more": np.ones(2, dtype=np.int32)}
    del arrays["ü"]
    write(new, arrays, {"template": "{{ b }}", "same": "x"})

    found = inside.compare(f"any{suffix}", old, new)
    told = () if suffix == ".npz" else ("template (metadata)",)
    assert found[:3] == (
        (f"layers.0.weight{end}", *told), (f"more{end}",), (f"ü{end}",),
    )  # fmt: skip
    if suffix != ".npz":
        sizes = {one.name: (one.old, one.new) for one in found.sizes}
        assert (sizes["layers.0.weight"], sizes["more"], sizes["ü"]) == (
            (128, 128), (None, 8), (40, None),
        )  # fmt: skip
    assert not inside.compare(f"any{suffix}", old, old)


@pytest.mark.parametrize("suffix", WRITERS)
def test_another_type_of_the_same_bytes_is_a_change(suffix, tmp_path):
    old, new = (tmp_path / f"{name}{suffix}" for name in ("old", "new"))
    WRITERS[suffix](old, {"a": np.zeros(4, dtype=np.float32)}, {})
    WRITERS[suffix](new, {"a": np.zeros(4, dtype=np.int32)}, {})
    assert len(inside.compare(f"x{suffix}", old, new).changed) == 1


def test_an_array_of_its_own(tmp_path):
    for name, array in (("a", np.arange(4)), ("b", np.arange(4) + 1), ("c", np.arange(4) + 0.0)):
        np.save(tmp_path / f"{name}.npy", array)
    np.lib.format.write_array((tmp_path / "d.npy").open("wb"), np.arange(4), version=(2, 0))

    def found(name):
        return inside.compare("x.npy", tmp_path / "a.npy", tmp_path / f"{name}.npy").changed

    assert [found(name) for name in "abcd"] == [(), ("data",), ("data", "header"), ("header",)]


def test_an_array_of_objects_is_bytes_and_runs_nothing(tmp_path):
    ran = tmp_path / "ran"

    class Evil:
        def __reduce__(self):
            return (ran.touch, ())

    np.save(tmp_path / "evil.npy", np.array([Evil()], dtype=object), allow_pickle=True)
    np.savez(tmp_path / "evil.npz", a=np.array([Evil()], dtype=object))
    np.save(tmp_path / "good.npy", np.arange(4))
    np.savez(tmp_path / "good.npz", a=np.arange(4))
    for suffix, changed in ((".npy", ("data", "header")), (".npz", ("a.npy",))):
        pair = (tmp_path / f"good{suffix}", tmp_path / f"evil{suffix}")
        assert inside.compare(f"x{suffix}", *pair).changed == changed
    assert not ran.exists()


def test_other_formats_are_not_looked_into(tmp_path):
    assert inside.compare("model.pt", tmp_path / "not", tmp_path / "here") is None


@pytest.mark.parametrize("kind", [k for k in GGMLQuantizationType if k.name != "Q8_1"])
def test_blocks_are_as_large_as_the_real_library_has_them(kind):
    # But for Q8_1, which no file has and where ggml-common.h and gguf-py do not agree.
    assert ours._BLOCKS[kind] == GGML_QUANT_SIZES[kind]


@pytest.mark.parametrize("alignment", [8, 64, 4096])
def test_alignments(alignment, tmp_path):
    path = tmp_path / "a.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_custom_alignment(alignment)
    for name, array in ARRAYS.items():
        if array.size:
            writer.add_tensor(name, array)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    write_gguf(tmp_path / "b.gguf", ARRAYS, {})
    found = inside.compare("x.gguf", tmp_path / "b.gguf", path)
    assert (found.changed, found.added) == ((), ("general.alignment (metadata)",))


def test_a_quantized_tensor(tmp_path):
    weights = RNG.standard_normal((2, 64), dtype=np.float32)
    for name, shift in (("a", 0), ("b", 1)):
        writer = gguf.GGUFWriter(tmp_path / f"{name}.gguf", "llama")
        data = gguf.quants.quantize(weights + shift, GGMLQuantizationType.Q4_0)
        writer.add_tensor("w", data, raw_dtype=GGMLQuantizationType.Q4_0)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    found = inside.compare("x.gguf", tmp_path / "a.gguf", tmp_path / "b.gguf")
    assert (found.changed, found.sizes) == (("w",), (("w", 72, 72),))
