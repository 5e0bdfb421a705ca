"""The Triton kernels compile for a GPU that is not there: the interpreter takes more than the compiler."""

from __future__ import annotations

import inspect
import os

import pytest

triton = pytest.importorskip(
    "triton", reason="Triton is not installed: it comes with torch for CUDA on Linux"
)
compiler = pytest.importorskip("triton.compiler", reason="this Triton has no compiler")
backend = pytest.importorskip("triton.backends.compiler", reason="this Triton names its targets otherwise")

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("TRITON_INTERPRET") == "1", reason="the interpreter replaces the compiler"
    ),
    pytest.mark.skipif(
        "constexprs" not in inspect.signature(compiler.ASTSource).parameters,
        reason="before Triton 3.3 a source is described otherwise",
    ),
]

FILTERS = {"OUTSIDE": False, "CORRECTION": 0, "NARROWEST": 4, "WIDEST": 5, "TILE": 4096, "COLUMNS": 8}
MAPS = {"EACH": 8, "GROUPS": 4, "CHANNELS": 8, "PIXELS": 32, "channel_step": 1}
KERNELS = [
    ("triton_std_kernels", "forward_kernel", FILTERS),
    ("triton_std_kernels", "backward_kernel", FILTERS),
    ("triton_std_kernels", "backward_kernel", FILTERS | {"OUTSIDE": True, "CORRECTION": 1}),
    ("triton_norm_kernels", "statistics_kernel", MAPS),
    ("triton_norm_kernels", "join_kernel", {"GROUPS": 4, "PARTS": 8}),
    ("triton_norm_kernels", "sums_kernel", MAPS | {"RELU": True}),
    *(
        ("triton_norm_kernels", kernel, MAPS | {"RELU": relu, "WHOLE": whole})
        for kernel in ("forward_kernel", "backward_kernel")
        for relu, whole in ((True, True), (False, False))
    ),
]
ADDRESSES = {"table", "tiles"}
FLOAT32 = {
    "statistics",
    "weight_pointer",
    "bias_pointer",
    "statistics_pointer",
    "parts_pointer",
    "sums_pointer",
}


def kind(name, dtype):
    """The type of an argument, as Triton writes it."""
    if name in ADDRESSES:
        return "*i64"
    if name in FLOAT32:
        return "*fp32"
    if name in ("flat", "like") or name.endswith("_pointer"):
        return f"*{dtype}"
    return "fp32" if name == "eps" else "i32"


def assembly(module, name, constants, dtype):
    """PTX for an H100. Pointers and the sizes of maps are multiples of 16, as they mostly are."""
    kernel = getattr(pytest.importorskip(f"fairtrial.kernels.{module}"), name)
    if "COLUMNS" in constants:
        constants = constants | {"VECTOR": 4 if dtype == "fp32" else 8}
    signature = {each: "constexpr" if each in constants else kind(each, dtype) for each in kernel.arg_names}
    source = compiler.ASTSource(
        fn=kernel,
        signature=signature,
        constexprs={(kernel.arg_names.index(each),): value for each, value in constants.items()},
        attrs={
            (i,): [["tt.divisibility", 16]]
            for i, each in enumerate(kernel.arg_names)
            if signature[each].startswith("*") or each in ("channels", "pixels", "pixel_step", "batch_groups")
        },
    )
    return triton.compile(source, target=backend.GPUTarget("cuda", 90, 32)).asm["ptx"]


@pytest.mark.parametrize(
    ("module", "name", "constants", "dtype"),
    [
        *((*kernel, "fp32") for kernel in KERNELS),
        *(
            pytest.param(*kernel, "bf16", marks=() if kernel is KERNELS[0] else pytest.mark.soak)
            for kernel in KERNELS
        ),
    ],
)
def test_every_kernel_compiles_and_moves_16_bytes_at_once(
    module, name, constants, dtype, monkeypatch, tmp_path
):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path))
    text = assembly(module, name, constants, dtype)
    assert ".entry" in text
    if name != "join_kernel":  # reads a few numbers for each group
        assert "ld.global.v4.b32" in text
    if name in ("forward_kernel", "backward_kernel"):
        assert "st.global.v4.b32" in text
