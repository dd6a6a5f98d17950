"""Scan a file of one's own: rank its rows by how likely their label is wrong and show why, for review."""
