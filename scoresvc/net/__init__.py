"""Connections on an event loop, whatever the protocol."""
