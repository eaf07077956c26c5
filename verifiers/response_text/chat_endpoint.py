"""One chat completion from an OpenAI-compatible endpoint, over `http_post.py`: retried, bounded in time and size.

Retried with doubling pauses (or the server's Retry-After): 429, 5xx, refused and broken connections. All tries together have one time
limit. Redirects are not followed, because they would carry the key to another host; replies are read up to 4 MB. No message quotes the
key. Left out: streaming, concurrency (the verifier pool runs many processes), and proxies other than the environment's.
"""

import json
import random
import re
import time
from typing import Any
from urllib.parse import urlsplit

from verifiers.http_post import HttpFault, Trouble, ask, json_headers, read_json, with_retries
from verifiers.input_error import InputError

_LONGEST = 4 << 20  # bytes of a reply
_RETRIED = (429, 500, 502, 503, 504, 529)


class EndpointTimeout(Exception):
    """No complete reply within the time limit; the text names the endpoint."""


class EndpointFailure(Exception):
    """A reply that is none, or none at all; the text names the endpoint and the remedy."""


def address(endpoint: str) -> str:
    """The URL to post to. Raises InputError for what is not http(s), or holds a password, which every message would quote."""
    base = endpoint.strip().rstrip("/")
    try:
        parts = urlsplit(base)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0 and re.fullmatch(r"[!-~]+", base)
    except ValueError:  # a bracket that is not closed, a port that is no number
        parts, good = urlsplit(""), None
    if parts.username is not None:
        raise InputError("judge: the endpoint holds a user name or password; leave it out, and set RECKON_JUDGE_API_KEY")
    if not good:
        raise InputError(
            f"judge: endpoint {endpoint!r:.80} is no http:// or https:// address; give the base, e.g. http://localhost:8000/v1"
        )
    return base if base.endswith("/chat/completions") else base + "/chat/completions"


def usable_key(key: str) -> str:
    """The key without the white space of the file it came from. Raises InputError, not quoting it, if it cannot stand in a header."""
    key = key.strip()
    if not re.fullmatch(r"[!-~]*", key):
        raise InputError("judge: RECKON_JUDGE_API_KEY holds a space or a character that is not plain ASCII; set it again")
    return key


def complete(endpoint: str, body: dict[str, Any], *, key: str, timeout: float, attempts: int) -> dict[str, Any]:
    """The reply to `body`, a JSON object. Raises EndpointTimeout after `timeout` seconds in all, EndpointFailure for the rest.

    An endpoint or a key that cannot be used is an InputError.
    """
    url, key = address(endpoint), usable_key(key)
    end, headers = time.monotonic() + timeout, json_headers(key)
    data = json.dumps(body).encode("utf-8", "replace")  # ASCII: lone surrogates are escaped
    pauses = [0.5 * 2**n * random.uniform(0.8, 1.2) for n in range(attempts - 1)]
    answer, tries, out_of_time = with_retries(
        lambda: ask(url, data, headers=headers, until=end, longest=_LONGEST),
        pauses, statuses=_RETRIED, faults=(Trouble.UNREACHABLE, Trouble.NO_ANSWER), until=end,
    )  # fmt: skip
    if isinstance(answer, HttpFault):
        if answer.kind is Trouble.LATE:
            raise EndpointTimeout(f"{url} did not answer within {timeout:g} s; raise timeout (and --deadline), or give it less to do")
        if answer.kind is Trouble.TOO_LONG:
            raise EndpointFailure(f"{url} sent more than {_LONGEST >> 20} MB; is it a chat endpoint?")
        trouble = f"cannot be reached ({answer!s:.100})"
    elif answer.good:
        return _read_object(url, answer.body)
    elif answer.status not in _RETRIED:
        raise EndpointFailure(f"{url} answered {answer.status}: {_complaint(answer.body, key)!r:.200}; {_remedy(answer.status)}")
    else:
        trouble = f"answered {answer.status}"
    if out_of_time:
        raise EndpointTimeout(f"{url} {trouble}, and the {timeout:g} s for it are over; send fewer requests at once, or raise timeout")
    raise EndpointFailure(f"{url} {trouble}, {tries} times; is the server running, and the endpoint right?")


def _complaint(said: bytes, key: str) -> str:
    """The start of an error's text, without the key, which some servers repeat."""
    text = said[:4096].decode("utf-8", "replace").strip()
    return (text.replace(key, "(the key)") if key else text)[:200]


def _read_object(url: str, data: bytes) -> dict[str, Any]:
    try:
        reply = read_json(data)
    except HttpFault:
        reply = None
    if not isinstance(reply, dict):
        raise EndpointFailure(f"{url} sent {data[:80]!r}, which is no JSON object; is it an OpenAI-compatible endpoint?")
    return reply


def _remedy(code: int) -> str:
    if code in (401, 403):
        return "set RECKON_JUDGE_API_KEY to a key that is valid there"
    return "the base should end in /v1" if code in (404, 405) or 300 <= code < 400 else "check the model's name and the parameters"
