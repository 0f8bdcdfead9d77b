"""What reaches the device, and how: the CPU stands in where there is no GPU."""

from __future__ import annotations

from unittest.mock import Mock

import pytest
import torch

from reid.transfer import to_device


def test_the_cpu_copies_nothing():
    tensor = torch.arange(3)
    assert to_device(tensor, torch.device("cpu")) is tensor


def test_a_gpu_is_sent_page_locked_memory_and_not_waited_for():
    tensor, gpu = Mock(), torch.device("cuda", 1)
    sent = to_device(tensor, gpu)
    tensor.pin_memory.assert_called_once_with()
    tensor.pin_memory.return_value.to.assert_called_once_with(gpu, non_blocking=True)
    assert sent is tensor.pin_memory.return_value.to.return_value
    tensor.to.assert_not_called()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA GPU here")
def test_values_arrive_on_the_gpu():
    tensor = torch.arange(1000)
    assert torch.equal(to_device(tensor, torch.device("cuda")).cpu(), tensor)
