"""A program that opens an ``.onnx`` file, runs it, and prints the memory that took as JSON. It imports none of our
modules, since torch would count too."""

import contextlib
import json
import sys

import numpy as np
import onnxruntime

RUNS = 5
TYPES = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}


def mib(key: str) -> float:
    """``VmRSS`` or ``VmHWM`` of this process."""
    with open("/proc/self/status") as file:
        line = next(line for line in file if line.startswith(key))
    return int(line.split()[1]) / 1024


def main() -> None:
    path, batch = sys.argv[1], int(sys.argv[2])
    before = mib("VmRSS")
    with contextlib.suppress(OSError), open("/proc/self/clear_refs", "w") as file:
        file.write("5")  # the peak counts from here on, not that of the imports
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    (told,) = session.get_inputs()
    images = np.zeros((batch, *told.shape[1:]), TYPES[told.type])
    for _ in range(RUNS):
        session.run(None, {told.name: images})
    print(json.dumps({"peak": mib("VmHWM"), "before": before}))


if __name__ == "__main__":
    main()
