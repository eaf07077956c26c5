"""One chat completion from an OpenAI-compatible endpoint, over the standard library's HTTP: retried, bounded in time and size.

Retried with doubling pauses (or the server's Retry-After): 429, 5xx, refused and broken connections. All tries together have one time
limit. Redirects are not followed, because they would carry the key to another host; replies are read up to 4 MB. Left out: streaming,
concurrency (the verifier pool runs many processes), and proxies other than the environment's.
"""

import http.client
import json
import random
import time
import urllib.error
import urllib.request
from typing import Any

from verifiers.input_error import InputError

_LONGEST = 4 << 20  # bytes of a reply
_RETRIED = (429, 500, 502, 503, 504, 529)


class EndpointTimeout(Exception):
    """No complete reply within the time limit; the text names the endpoint."""


class EndpointFailure(Exception):
    """A reply that is none, or none at all; the text names the endpoint and the remedy."""


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any) -> None:
        return None


def address(endpoint: str) -> str:
    """The URL to post to. Raises InputError for what is not http(s)."""
    if not endpoint.startswith(("http://", "https://")):
        raise InputError(
            f"judge: endpoint {endpoint!r:.80} is no http:// or https:// address; give the base, e.g. http://localhost:8000/v1"
        )
    base = endpoint.rstrip("/")
    return base if base.endswith("/chat/completions") else base + "/chat/completions"


def complete(endpoint: str, body: dict[str, Any], *, key: str, timeout: float, attempts: int) -> dict[str, Any]:
    """The reply to `body`, a JSON object. Raises EndpointTimeout after `timeout` seconds in all, EndpointFailure for the rest."""
    url = address(endpoint)
    end = time.monotonic() + timeout
    headers = {"Content-Type": "application/json"} | ({"Authorization": f"Bearer {key}"} if key else {})
    data = json.dumps(body).encode("utf-8", "replace")  # ASCII: lone surrogates are escaped
    for attempt in range(attempts):
        pause = 0.5 * 2**attempt * random.uniform(0.8, 1.2)
        try:
            return _object(url, _post(url, data, headers, end))
        except urllib.error.HTTPError as error:
            with error:
                said = error.read(200).decode("utf-8", "replace").strip()
                wait = error.headers.get("Retry-After", "") if error.headers else ""
            if error.code not in _RETRIED:
                raise EndpointFailure(f"{url} answered {error.code}: {said!r:.200}; {_remedy(error.code)}") from None
            pause = max(pause, float(wait) if wait.isdigit() and len(wait) < 6 else 0.0)
            trouble = f"answered {error.code}"
        except TimeoutError:
            raise EndpointTimeout(
                f"{url} did not answer within {timeout:g} s; raise timeout (and --deadline), or give it less to do"
            ) from None
        except (urllib.error.URLError, http.client.HTTPException, OSError) as error:
            reason = getattr(error, "reason", error)
            if isinstance(reason, TimeoutError):
                raise EndpointTimeout(f"{url} could not be reached within {timeout:g} s; start it, or raise timeout") from None
            trouble = f"cannot be reached ({reason!s:.100})"
        if attempt + 1 == attempts:
            break
        if time.monotonic() + pause >= end:
            raise EndpointTimeout(f"{url} {trouble}, and the {timeout:g} s for it are over; send fewer requests at once, or raise timeout")
        time.sleep(pause)
    raise EndpointFailure(f"{url} {trouble}, {attempts} times; is the server running, and the endpoint right?")


def _post(url: str, data: bytes, headers: dict[str, str], end: float) -> bytes:
    """The reply's bytes. A server that drips is given up at `end` too, at the latest one read later."""
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    request = urllib.request.Request(url, data, headers, method="POST")  # `address` has seen that it is http(s)
    pieces, size = [], 0
    with urllib.request.build_opener(_NoRedirect).open(request, timeout=left) as reply:
        while piece := reply.read1(1 << 16):
            pieces.append(piece)
            size += len(piece)
            if size > _LONGEST:
                raise EndpointFailure(f"{url} sent more than {_LONGEST >> 20} MB; is it a chat endpoint?")
            if time.monotonic() > end:
                raise TimeoutError
    return b"".join(pieces)


def _object(url: str, data: bytes) -> dict[str, Any]:
    try:
        reply = json.loads(data)
    except (ValueError, RecursionError):
        reply = None
    if not isinstance(reply, dict):
        raise EndpointFailure(f"{url} sent {data[:80]!r}, which is no JSON object; is it an OpenAI-compatible endpoint?")
    return reply


def _remedy(code: int) -> str:
    if code in (401, 403):
        return "set RECKON_JUDGE_API_KEY to a key that is valid there"
    return "the base should end in /v1" if code in (404, 405) or 300 <= code < 400 else "check the model's name and the parameters"
