"""JSON schemas that replies of an instruct model are decoded under; a reply has the properties in their order."""

from __future__ import annotations

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from ecgbench.prompts.replies import MAX_SPANS

# Characters, not words, are what a schema can bound: these let a reply end before it is cut.
_SPAN, _SENTENCE = 120, 200
_CONFIDENCE = {"type": "integer", "minimum": 0, "maximum": 100}


@lru_cache(maxsize=256)
def explanation_schema(label: str, *, counterfactual: bool) -> str:
    """Return the schema of an explanation for one label: no other can be decoded."""
    span = {"type": "string", "minLength": 1, "maxLength": _SPAN}
    sentence = {"type": "string", "minLength": 1, "maxLength": _SENTENCE}
    return _render(
        {
            "label": {"enum": [label]},
            "evidence": {"type": "array", "items": span, "minItems": 1, "maxItems": MAX_SPANS},
            "rationale": sentence,
            **({"counterfactual": sentence} if counterfactual else {}),
            "confidence": _CONFIDENCE,
        }
    )


def stated_schema(labels: Sequence[str]) -> str:
    """Return the schema of one of the labels with a confidence, 0 to 100."""
    return _render({"label": {"enum": list(labels)}, "confidence": _CONFIDENCE})


def _render(properties: dict[str, Any]) -> str:
    schema = {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }
    return json.dumps(schema, ensure_ascii=False, separators=(",", ":"))
