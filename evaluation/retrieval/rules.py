"""Which gallery images count for a query: the junk and distractor rules of the data sets."""

from __future__ import annotations

from pydantic.dataclasses import dataclass

from reid.config import STRICT
from reid.data.records import DISTRACTOR_PID, JUNK_PID, NO_CAMERA


@dataclass(frozen=True, config=STRICT)
class MatchRule:
    """Which gallery images are passed over, wrong, or right for a query.

    In this order: an image of a junk identity is no part of the gallery; an image of the query's identity that the
    query's own camera saw, or that is the query's own image (where image ids are given), is passed over for that
    query; any other image of the query's identity is right; all that is left is wrong. A query of a junk or distractor
    identity, or one without a right answer, is not counted, but reported.

    Attributes:
        same_camera_is_junk: pass over images of the query's identity from the query's camera.
        junk_pids: identities taken out of the gallery.
        distractor_pids: identities that are wrong for every query.
        unknown_camids: camera numbers that mean "not known": nothing is passed over for them.
    """

    same_camera_is_junk: bool = True
    junk_pids: tuple[int, ...] = (JUNK_PID,)
    distractor_pids: tuple[int, ...] = (DISTRACTOR_PID,)
    unknown_camids: tuple[int, ...] = ()


MARKET1501 = MatchRule()
"""Zheng et al. 2015 and the MATLAB toolbox that came with it: ``-1`` is junk, ``0`` a distractor."""

CUHK03 = MatchRule(junk_pids=(), distractor_pids=())
"""The 767/700 partition of Zhong et al. 2017 (CUHK03-NP): no junk, no distractors. The classic protocol, which draws
one gallery image per person, is another one."""

MSMT17 = MatchRule(junk_pids=(), distractor_pids=())
"""Wei et al. 2018: no junk, no distractors; its lists number persons from 0, and 0 is a person."""

NO_CAMERAS = MatchRule(same_camera_is_junk=False)
"""Data without cameras: only the query's own image is passed over, if image ids are given. Identities numbered from 0
need ``distractor_pids=()`` too."""

RECORDS = MatchRule(unknown_camids=(NO_CAMERA,))
"""Labels as this framework's readers number them (``reid.data.records``), of any data set, with cameras or without."""
