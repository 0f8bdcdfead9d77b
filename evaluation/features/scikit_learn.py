"""Access to scikit-learn, an optional package that only t-SNE and the digits need."""

from __future__ import annotations

from types import ModuleType

from reid.errors import UserError


def need_sklearn() -> ModuleType:
    """``sklearn.manifold``; raises UserError where scikit-learn is not installed."""
    try:
        from sklearn import manifold
    except ImportError:
        raise UserError("t-SNE needs scikit-learn: pip install scikit-learn") from None
    return manifold
