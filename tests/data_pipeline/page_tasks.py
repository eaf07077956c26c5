"""What test_mining_workers has done to pages in worker processes: tasks are found by name there."""

import os
import signal
import time

from data_pipeline.documents.document import Doc, Page, doc_id


def echo(page: Page) -> Doc:
    """The body as text; a body that begins with a command does it."""
    text = page.body.decode("utf-8", "replace")
    command, _, rest = text.partition(" ")
    if command == "sleep":
        time.sleep(float(rest))
    elif command == "eat":
        text = str(len(b"x" * int(float(rest) * 1e6)))
    elif command == "signal":
        os.kill(os.getpid(), getattr(signal, rest.strip()))
    elif command == "raise":
        raise KeyError(rest)
    elif command == "exit":
        os._exit(0)
    elif command == "spin":
        while True:
            pass
    return Doc(doc_id(page.url, page.origin), page.url, text, page.origin)
