"""Training must run where nni is not installed."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def test_training_and_retraining_do_not_import_nni():
    # In a process of its own: other tests have imported nni into this one.
    jobs = "training.retrain", "training.train_supernet", "evaluate.job"
    code = f"import sys, {', '.join(f'tools.jobs.{job}' for job in jobs)}; print('nni' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "False", done.stderr
