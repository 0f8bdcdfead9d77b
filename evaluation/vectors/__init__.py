"""Test vectors for the evaluation: small inputs with the results that the published definitions give.

``cases/*.json`` hold them. Their expected values come from the loops of ``reference``, which share no code with the
evaluation. ``python -m evaluation.vectors`` lists the cases, checks the results of any program and rewrites the files;
``docs/evaluation.md`` has the format.
"""
