"""Which errors say that memory has run out."""

from __future__ import annotations

import errno

import pytest
import torch

from reid.out_of_memory import no_memory


def test_what_torch_really_raises_is_known():
    with pytest.raises(RuntimeError) as caught:
        torch.empty(2**46, dtype=torch.float64)
    assert no_memory(caught.value), str(caught.value)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.50 GiB."),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate(handle)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_other_words_for_it(error):
    assert no_memory(error)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied"), KeyError("memory"), OSError(errno.ENOENT, "no memory")],
    ids=lambda error: type(error).__name__,
)
def test_other_faults(error):
    assert not no_memory(error)
