"""Handwritten digits as vectors of pixels, for the picture that made t-SNE known (van der Maaten & Hinton 2008,
figure 2), so that the result is easy to check. Nothing is downloaded."""

from __future__ import annotations

from pathlib import Path

from evaluation.features.scikit_learn import need_sklearn
from evaluation.features.vector_files import LabelledVectors, label_vectors
from reid.data.locate import Place, locate_or_fail
from reid.errors import UserError

IMAGES, LABELS = "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"

MNIST = Place(
    title="MNIST",
    folders=("MNIST/raw", "mnist/raw", "MNIST", "mnist", "raw", "."),
    parts=(IMAGES, LABELS),
    advice=f"put {IMAGES} and {LABELS}, unpacked, into data/MNIST/raw, or give digits as SOURCE, which needs no file",
)
"""MNIST as ``torchvision.datasets.MNIST`` stores it; only its 10,000 test images are read."""


def mnist_pixels(given: Path | None, root: Path) -> LabelledVectors:
    """``(10000, 784)`` pixels in 0..1 of MNIST's test images.

    Args:
        given: folder to look in; else ``$REID_DATA`` or ``root / "data"``.

    Raises:
        UserError: MNIST is missing, incomplete or damaged.
    """
    from torchvision.datasets.mnist import read_image_file, read_label_file  # here, since it takes seconds

    folder = locate_or_fail(MNIST, given, root)
    try:
        images, labels = read_image_file(str(folder / IMAGES)), read_label_file(str(folder / LABELS))
    except FileNotFoundError as error:
        raise UserError(f"MNIST in {folder} lacks {Path(error.filename).name}; {MNIST.advice}") from None
    except Exception:  # torchvision's reader asserts, or numpy cannot reshape the data
        raise UserError(f"MNIST in {folder} is damaged; {MNIST.advice}") from None
    if len(images) != len(labels):
        raise UserError(f"MNIST in {folder} has {len(images)} images and {len(labels)} labels; {MNIST.advice}")
    return label_vectors(images.flatten(1).numpy() / 255, labels.numpy(), word="digit")


def sklearn_digits() -> LabelledVectors:
    """``(1797, 64)`` pixels in 0..1 of the 8x8 digits that scikit-learn comes with (UCI's optdigits, its test part).

    Raises:
        UserError: scikit-learn is not installed.
    """
    need_sklearn()
    from sklearn.datasets import load_digits

    digits = load_digits()
    return label_vectors(digits.data / 16, digits.target, word="digit")
