"""HTTP/1.1 on an event loop: one connection, from its first byte to its last.

Theory of operation. All of this runs in the loop's thread, and nothing of it waits. `data_received` adds to the
parser's buffer and `_advance` goes as far as it can: head, body, call, response, next head. It stops where it must
wait, and whatever ends the wait calls it again:

    waits for                               in           ends with
    the head of a request, or nothing       HEAD         data_received, eof_received
    a body that the call reads              BODY         data_received, eof_received
    a body that nobody reads; the request   SKIP         data_received, eof_received
      may have been answered before it
    a commit, or a thread                   _is_calling  receive
    the client, which does not read         _is_blocked  resume_writing
    the client's end                        _is_closing  eof_received, expire

What is promised, and what breaks if you touch it:

- One request at a time. The next one stays in the buffer, unparsed and with reading paused, until the one before it is
  answered. So answers are in order; a pipelined read sees the post before it, as RFC 9112, 9.3.2, asks for unsafe
  methods; and a client that sends without end fills its socket, not our memory. All answers of a turn leave in one
  write.
- A refusal is the last answer of a connection: after a request that was not understood, nobody knows where the next
  one begins, and to guess is to answer a smuggled one. The same holds where a body may or may not follow: one that
  is too long, or one that waits for a 100 that does not come. `_keeps_alive` goes down before the answer is written.
- A body that does not matter is not waited for, but read, because the next request stands behind it.
- A wait of a head begins with its first byte, or with the connection: `_has_head_deadline`. A connection between two
  requests has `idle_deadline`, which costs no look at the clock.
- How a connection ends: see net/lingering.py.
"""

from __future__ import annotations

from scoresvc.api.request import Pending
from scoresvc.errors import BodyCutShort, BodyTooLarge, Refusal
from scoresvc.errors.http import BadRequest, RequestTimeout
from scoresvc.http.answering import AnsweringProtocol
from scoresvc.http.head import Head
from scoresvc.http.responses import CONTINUE, ResponseWriter
from scoresvc.limits import BODY_BYTES_MAX
from scoresvc.net.calling import Caller
from scoresvc.net.server import Server

ANSWER_BYTES_GATHERED = 65536  # of pipelined requests in one write

HEAD, BODY, SKIP = range(3)


class HttpConnection(AnsweringProtocol):
    """Reads the requests of one client; see the top of this file."""

    __slots__ = ("_has_head_deadline", "_state")

    def __init__(self, server: Server, caller: Caller, responses: ResponseWriter) -> None:
        super().__init__(server, caller, responses)
        self._state = HEAD
        self._has_head_deadline = True

    def open(self) -> None:
        self._set_deadline(self._connections.timeouts.head)

    def data_received(self, data: bytes) -> None:
        if self._is_closing:
            self._drain(data)
        else:
            self._parser.buffer += data
            self._advance()

    def eof_received(self) -> bool:
        """Returns whether the connection stays open, for an answer."""
        self._has_eof = True
        if self._is_closing:
            return False
        self._advance()
        return True

    def resume_writing(self) -> None:
        super().resume_writing()
        if not self._is_closing:
            self._has_head_deadline = False
            self._wait_for_input()
            self._advance()

    def expire(self) -> None:
        if self._is_closing or self._is_blocked:
            self.abort()
            return
        if self._state == BODY or (self._state == HEAD and self._parser.buffer):
            self._refuse(RequestTimeout())
        self._is_closing = True
        self._settle()

    def shut_down(self) -> None:
        """Closes the connection, after the answer to a request that has begun to arrive."""
        self._is_last = True
        if self._state == HEAD and not (self._is_calling or self._is_blocked or self._parser.buffer):
            self._transport.close()

    def receive(self, pending: Pending) -> None:
        super().receive(pending)
        self._advance()

    def _advance(self) -> None:
        """Reads and answers as much as it can without waiting."""
        try:
            parser = self._parser
            while parser.buffer and not (self._is_calling or self._is_blocked or self._is_closing):
                if not (self._read_head() if self._state == HEAD else self._read_body()):
                    break
                if len(self._output) > ANSWER_BYTES_GATHERED:
                    self._flush()
            if self._has_eof and not (self._is_calling or self._is_blocked or self._is_closing):
                self._end_input()
            self._settle()
        except Exception:
            self._fail()

    def _read_head(self) -> bool:
        """Reads a head with its call or the beginning of its body; False where it is not whole yet."""
        try:
            if not self._parser.read_head():
                self._wait_for_head()
                return False
        except Refusal as error:
            self._refuse(error)
            return True
        self._has_head_deadline = False
        head = self._parser.head
        self._keeps_alive = head.keeps_alive
        if head.body_length:
            self._begin_body(head)
        else:
            self._call(b"")
        return True

    def _begin_body(self, head: Head) -> None:
        if head.body_length > BODY_BYTES_MAX:
            self._keeps_alive = False
            self._call(BodyTooLarge())
        elif self._caller.reads_body(head.method, head.path):
            self._state = BODY
            if head.expects_continue:
                self._output += CONTINUE
            if not 0 < head.body_length <= len(self._parser.buffer):
                self._wait_for_input()
        else:
            self._state = SKIP
            self._keeps_alive = self._keeps_alive and not head.expects_continue
            self._call(b"")

    def _read_body(self) -> bool:
        """Reads a body with its call; False where it is not whole yet."""
        body: bytes | Refusal
        try:
            if not self._parser.read_body():
                return False
            body = self._parser.body
        except Refusal as error:
            body = error
            self._keeps_alive = False
        is_wanted, self._state = self._state == BODY, HEAD
        if is_wanted:
            self._call(body)
        elif self._keeps_alive:
            self._wait_for_input()
        else:
            self._is_closing = True
        return True

    def _end_input(self) -> None:
        """Ends what the client has left unfinished when it shut down its side."""
        if self._state == BODY:
            self._keeps_alive = False
            self._state = HEAD
            self._call(BodyCutShort())
        elif self._state == HEAD and self._parser.buffer:
            self._refuse(BadRequest())
        else:
            self._is_closing = True

    def _wait_for_head(self) -> None:
        if not self._has_head_deadline:
            self._has_head_deadline = True
            self._set_deadline(self._connections.timeouts.head)

    def _wait_for_input(self) -> None:
        if self._state == HEAD:
            self.deadline = self._connections.idle_deadline
        else:
            self._set_deadline(self._connections.timeouts.body)
