"""A plugin that is no Python."""

def broken(:
