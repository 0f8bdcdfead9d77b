"""What a parser says of options that there are not, and of those that are wrong: one line."""

from __future__ import annotations

import pytest

from reid.options import Parser


@pytest.fixture
def parser():
    made = Parser("program")
    made.add_argument("--epochs", type=int)
    made.add_argument("--rate", type=float)
    made.add_argument("--set", action="append")
    made.add_argument("--recipe", choices=["mlr", "bot"])
    made.add_argument("run", nargs=1)
    return made


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["--epo", "3"], "--epo: no such option; nearest: --epochs; see --help"),
        (["--epo=3", "a"], "--epo: no such option; nearest: --epochs; see --help"),
        (["a", "-epochs", "3"], "-epochs: no such option; nearest: --epochs; see --help"),
        (["a", "--wxyz"], "--wxyz: no such option; see --help"),
        (["--epochs", "many"], "--epochs 'many': must be a whole number"),
        (["--rate", "high"], "--rate 'high': must be a number"),
        (["--epochs"], "--epochs: expected one argument"),
        (["--set", "-4x4", "a"], "--set: expected one argument"),
        ([], "run: must be given; see --help"),
        (["a", "b"], "b: unexpected argument; see --help"),
        (["--recipe", "x"], "--recipe: invalid choice: 'x' (choose from 'mlr', 'bot')"),
    ],
)
def test_what_is_wrong_is_one_line(parser, capsys, words, line):
    with pytest.raises(SystemExit) as ended:
        parser.parse_args(words)
    assert ended.value.code == 2 and capsys.readouterr().err == f"error: {line}\n"


def test_what_only_looks_like_an_option_is_a_value(parser):
    read = parser.parse_args(["--epochs", "-3", "--rate", "-.5", "--set", "--a b", "--", "--epo"])
    assert (read.epochs, read.rate, read.set, read.run) == (-3, -0.5, ["--a b"], ["--epo"])
