"""Cleaning: what a review or a scan says of a file's rows is applied to the file."""
