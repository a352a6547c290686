"""The numbers that the contract and the servers keep to."""

from __future__ import annotations

UINT31_MAX = 2**31 - 1  # of a user, a level, a score
INT64_MAX = 2**63 - 1  # of a submission, an action
BODY_BYTES_MAX = 1024
NAME_CHARACTERS_MAX = 24  # of a user
NAME_BYTES_MAX = 96  # in UTF-8
EXTERNAL_CHARACTERS_MAX = 128  # of a text by which another service, or the game's own server, knows a user
META_BYTES_MAX = 256  # of what is sent with a score, in UTF-8
COUNT_MAX = 1000  # entries in one answer
COUNT_DEFAULT = 15
LEVELS_LISTED = 100  # on a page, if nothing else is asked for

HEADER_BYTES_MAX = 16384  # request line and header of one HTTP request, the empty line included
HEADER_FIELDS_MAX = 100
CHUNKED_BYTES_MAX = 16384  # a chunked body as it is sent: sizes, extensions and trailers included
DRAIN_BYTES_MAX = 65536  # read and dropped of a connection that is being closed
CONNECTIONS_MAX = 10_000
REQUEST_TIMEOUT = 10.0  # seconds for a request to arrive whole, however slow the client
ANSWER_TIMEOUT = 10.0  # seconds for a client to read what it was answered
IDLE_TIMEOUT = 60.0  # seconds between an answer and the next request of a connection
LINGER_TIMEOUT = 1.0  # seconds for a client to close after us
SWEEP_INTERVAL = 1.0  # seconds between two looks at the deadlines of all connections
SHUTDOWN_GRACE = 2.5  # seconds for the requests in flight when the service shuts down
DESCRIPTORS_RESERVED = 64  # of the process, for all that is no connection: the database, the log, the loop
OPEN_FILES_MAX = 65536  # a connection is one
