"""The numbers that the contract and the servers keep to."""

from __future__ import annotations

UINT31_MAX = 2**31 - 1  # of a user, a level, a score
BODY_BYTES_MAX = 1024
COUNT_MAX = 1000  # entries in one answer
COUNT_DEFAULT = 15

HEADER_BYTES_MAX = 16384
REQUEST_TIMEOUT = 10.0  # seconds for a request to arrive whole, however slow the client
SHUTDOWN_GRACE = 2.5  # seconds for the requests in flight when the service shuts down
OPEN_FILES_MAX = 65536  # a connection is one
