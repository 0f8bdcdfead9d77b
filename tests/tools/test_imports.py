"""What takes seconds to import waits until it is used, and training runs where nni is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HEAVY = ["nni", "torchvision", "torch._dynamo", "scipy.stats", "timm", "sklearn", "onnx"]


def test_tools_start_without_what_takes_seconds_to_import():
    # In a process of its own: other tests have imported all of it into this one.
    jobs = "training.retrain", "training.train_supernet", "evaluate.job", "search.job", "pipeline"
    code = f"import sys, {', '.join(f'tools.jobs.{job}' for job in jobs)}; print(set({HEAVY}) & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "set()", done.stderr
