"""Cache keys: canonical JSON under a tag, hashed with blake2b.

Canonical form: UTF-8 JSON, keys sorted, no white space, no NaN; a dataclass is
`{"@": "module:QualName", ...fields}` (with `"#": version` where its class has one).
Tags carry a schema number ("row/1"), so a changed form can never meet an old key.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Any

DIGEST_BYTES = 20


def canonical_json(value: Any) -> str:
    """Render a value of plain types and dataclasses in its one canonical form."""
    return json.dumps(
        value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False, default=_encode
    )


def digest(tag: str, value: Any) -> str:
    """Hash a value under a tag; returns 40 hex digits."""
    hasher = hashlib.blake2b(digest_size=DIGEST_BYTES, person=tag.encode()[:16])
    hasher.update(canonical_json(plain(value)).encode("utf-8", "surrogatepass"))
    return hasher.hexdigest()


def plain(value: Any) -> Any:
    """Turn dataclasses (less fields with compare=False), tuples and paths into plain JSON types, recursively."""
    if value is None or isinstance(value, (str, int, float)):
        return value  # most of what is hashed: texts and labels
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        kind = type(value)
        fields = {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value) if f.compare}
        version = getattr(kind, "version", None)
        head: dict[str, Any] = {"@": f"{kind.__module__}:{kind.__qualname__}"}
        return head | ({} if version is None else {"#": version}) | fields
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _encode(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"a cache key cannot hold {type(value).__name__}: {value!r}")
