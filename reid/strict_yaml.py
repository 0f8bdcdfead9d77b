"""A YAML parser that refuses mistakes which PyYAML silently accepts."""

from __future__ import annotations

from typing import Any

import yaml


def parse_yaml(text: str) -> Any:
    """``yaml.safe_load``, but two equal keys in a mapping are an error, as in YAML's specification; in PyYAML the last
    silently replaces the first. A zero byte (``"\\0"``), which no file name has, is an error too, and so is a mapping
    or list that contains itself.

    Raises:
        yaml.YAMLError, ValueError, RecursionError: the text is not valid YAML.
    """
    return yaml.load(text, _Loader)


class _Loader(yaml.SafeLoader):
    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self._unfinished: list[str | None] = []
        """Anchors of the mappings and lists that the parser is inside of."""

    def compose_node(self, parent: yaml.Node | None, index: object) -> yaml.Node:
        event = self.peek_event()
        if isinstance(event, yaml.AliasEvent) and event.anchor in self._unfinished:
            raise yaml.MarkedYAMLError(problem=f"*{event.anchor} contains itself", problem_mark=event.start_mark)
        self._unfinished.append(getattr(event, "anchor", None))
        node = super().compose_node(parent, index)
        self._unfinished.pop()
        return node

    def compose_scalar_node(self, anchor: str | None) -> yaml.ScalarNode:
        node = super().compose_scalar_node(anchor)
        if "\0" in node.value:
            raise yaml.MarkedYAMLError(problem="a text contains a zero byte", problem_mark=node.start_mark)
        return node

    def compose_mapping_node(self, anchor: str | None) -> yaml.MappingNode:
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            name = (key.tag, str(key.value))
            if name in seen:
                raise yaml.MarkedYAMLError(problem=f"key '{key.value}' occurs twice", problem_mark=key.start_mark)
            seen.add(name)
        return node
