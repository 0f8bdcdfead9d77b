"""tools/latency.py: a table, its error, a picture; refusals."""

from __future__ import annotations

import functools
import json

import pytest

import tools.jobs.latency.job as job

SPACE = """
input_size: [16, 8]
stems: [4, 6]
stages:
  - {stride: 1, widths: [4, 6], depths: [1], kernels: [3], expands: [1]}
  - {stride: 2, widths: [6, 8], depths: [1, 2], kernels: [3], expands: [2, 3]}
last_widths: [8]
"""


def _killed(*what):
    raise KeyboardInterrupt


@pytest.fixture
def space(tmp_path):
    path = tmp_path / "little.yaml"
    path.write_text(SPACE)
    return path


def test_table_error_and_picture(call, space, read_page, tmp_path, data_root, monkeypatch):
    for name in ("build_table", "prediction_error"):
        short = functools.partial(getattr(job, name), rounds=2, seconds=0, progress=False)
        monkeypatch.setattr(job, name, short)
    out = tmp_path / "out"
    command = ("latency", "--space", space, "--target", "torch-cpu-1t", "--networks", 4, "--out", out)
    with monkeypatch.context() as patch:  # killed before its page: no figures are there either, which would be kept
        patch.setattr(job, "write_latency_report", _killed)
        assert call(*command, tiny=False).code == 130
    done = call(*command, tiny=False)
    assert done.code == 0, done.err
    assert "on 4 whole networks" in done.out and "little on" not in done.err
    assert (data_root / "data" / "cache" / "latency" / "little-16x8-torch-cpu-1t.json").exists()
    assert (out / "latency_error.png").read_bytes().startswith(b"\x89PNG")
    written = json.loads((out / "latency.json").read_text())
    errors = sorted(abs(row["predicted_ms"] / row["measured_ms"] - 1) for row in written["rows"])
    assert written["worst"] == pytest.approx(errors[-1], rel=1e-2, abs=1e-3)
    page, shares = read_page(out / "report.html"), [f"{100 * written[key]:.1f} %" for key in ("median", "worst")]
    assert page.all("dd")[:3] == [*shares, f"{written['spearman']:.3f}"]
    rows = sorted(written["rows"], key=lambda row: row["flops"])
    # The file's five digits may round to another third digit than the measured number did.
    shown = [float(cell) for cell in page.all("td")[2:16:4]]
    assert shown == pytest.approx([row["measured_ms"] for row in rows], abs=6e-4)
    assert page.pictures == [(out / "latency_error.png").read_bytes()] and page.all("p")[1] in done.out
    assert written["machine"]["torch"] in page.all("td") and done.out.rstrip().endswith(
        f"report: {out / 'report.html'}"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--target", "onnx-gpu-1t"], "target 'onnx-gpu-1t' is unknown; nearest: onnx-cpu-1t"),
        (["--target", "torch-cpu-999t"], "needs 999 threads"),
        (["--space", "tinny"], "no space is called 'tinny'; nearest: tiny"),
    ],
)
def test_refusals(call, refused, tmp_path, arguments, message):
    refused(call("latency", *arguments, "--out", tmp_path / "out", tiny=False), message)
    assert not (tmp_path / "out").exists()
