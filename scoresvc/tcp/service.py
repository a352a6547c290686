"""Answers requests over TCP with the service itself, without WSGI in between."""

from __future__ import annotations

from scoresvc.api.dispatch import Api
from scoresvc.api.request import Request, Response
from scoresvc.tcp.frames import Address, Answer, FrameRequest, FrameResponse, make_response


def make_answer(api: Api) -> Answer:
    """Returns the function that has `api` answer a request; a call that waits for a write waits in its thread."""

    def answer(request: FrameRequest, address: Address) -> FrameResponse:
        response = api(_to_api_request(request, address))
        if not isinstance(response, Response):
            response = response.result()
        return make_response(response.status, dict(response.headers)["Content-Type"], response.body)

    return answer


def _to_api_request(request: FrameRequest, address: Address) -> Request:
    return Request(request.method, request.path, request.query, request.headers, request.body, address[0])
