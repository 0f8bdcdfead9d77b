"""Latency: measured on a named target, and predicted for every arch of a space from a table of its parts.

A search takes these steps::

    target = parse_target("onnx-cpu-1t")
    table = build_table(space, target, folder)  # measures what the folder does not hold yet, and shows its progress
    region = make_region(space, limits, latency=table.latency)
    print(describe_error(prediction_error(table, space)))  # on whole networks that the table has not seen
    timings = measure_archs(finalists, target)  # the found archs whole

``space`` has the input size that costs are counted at. Another machine measures by ``search.latency.kit.write``'s
folder; ``import_times`` makes its times a table, and ``open_table`` finds either kind by the target's name.
"""

from search.latency.check import LatencyError, describe_error, prediction_error
from search.latency.imported import check_target, import_times, open_table
from search.latency.measure import Timing, measure_archs, measure_latency, measure_networks
from search.latency.runners import cpu_threads
from search.latency.table import LatencyTable, build_table
from search.latency.targets import Target, check_available, is_local, parse_target

__all__ = [
    "LatencyError",
    "LatencyTable",
    "Target",
    "Timing",
    "build_table",
    "check_available",
    "check_target",
    "cpu_threads",
    "describe_error",
    "import_times",
    "is_local",
    "measure_archs",
    "measure_latency",
    "measure_networks",
    "open_table",
    "parse_target",
    "prediction_error",
]
