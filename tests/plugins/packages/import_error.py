"""A plugin that needs what is not installed."""

import no_such_module  # noqa: F401
