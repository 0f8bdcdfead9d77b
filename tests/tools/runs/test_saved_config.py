"""Configurations of runs from before a key was there."""

from __future__ import annotations

import pytest
import yaml

from reid.errors import UserError
from supernet.catalog import Backbone, NetworkSpec, spec_from_dict, spec_to_dict
from tools.jobs.runs.saved_config import read_saved


def test_a_head_from_before_one_of_its_keys_is_as_it_was_meant(tmp_path):
    spec = NetworkSpec("osnet_x0_25", Backbone("osnet_x0_25"), (256, 128))
    saved = spec_to_dict(spec)
    del saved["head"]["relu"]
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"seed": 3, "network": saved}))
    read = read_saved(path)
    assert read["seed"] == 3 and read["network"]["head"] == spec_to_dict(spec)["head"]
    assert spec_from_dict(read["network"]) == spec


def test_a_key_that_there_is_no_longer_is_named(tmp_path):
    path = tmp_path / "config.yaml"
    path.write_text(yaml.safe_dump({"network": {"head": {"squash": True}}}))
    with pytest.raises(UserError, match="network.head.*squash"):
        read_saved(path)
