"""Rows as text: CSV (RFC 4180), and JSON with an object a line."""
