"""Places: the same few calls on a local disk, in a store without a rename, and on the web, which is only read."""

import functools
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import fsspec
import pytest

from data_pipeline.documents import places
from verifiers.input_error import InputError


@pytest.fixture(params=["local", "file", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "memory":
        fsspec.filesystem("memory").store.clear()
        return f"memory://bucket/{tmp_path.name}"
    return f"file://{tmp_path}/run" if request.param == "file" else str(tmp_path / "run")


def test_what_is_written_whole_is_listed_and_read(folder: str) -> None:
    assert places.names(folder) == []
    assert not places.exists(places.join(folder, "a.json"))
    assert places.read_json(places.join(folder, "a.json")) is None
    places.write_json(places.join(folder, "a.json"), {"x": "é"})
    with places.whole(places.join(folder, "b.bin")) as path:
        path.write_bytes(b"bytes")
    assert places.names(folder) == ["a.json", "b.bin"]
    assert places.exists(places.join(folder, "b.bin"))
    assert places.read_json(places.join(folder, "a.json")) == {"x": "é"}
    with places.local(places.join(folder, "b.bin")) as path:
        assert path.read_bytes() == b"bytes"
    places.remove(places.join(folder, "b.bin"))
    places.remove(places.join(folder, "b.bin"))
    assert places.names(folder) == ["a.json"]


def test_a_write_that_breaks_off_leaves_what_was_there(folder: str) -> None:
    place = places.join(folder, "a.json")
    places.write_json(place, 1)
    with pytest.raises(KeyError), places.whole(place) as path:
        raise KeyError(path.write_text("2"))
    assert places.read_json(place) == 1
    assert places.names(folder) == ["a.json"]


def test_damage_is_told_from_absence(folder: str) -> None:
    place = places.join(folder, "a.json")
    with places.whole(place) as path:
        path.write_text('{"x":')
    with pytest.raises(places.Damaged, match="damaged"):
        places.read_json(place)


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    (tmp_path / "a.json").write_text('{"x": 1}')
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=str(tmp_path))
    handler.keywords["directory"] = str(tmp_path)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def test_the_web_is_read_and_not_written(web: str) -> None:
    assert places.read_json(f"{web}/a.json") == {"x": 1}
    assert places.read_json(f"{web}/b.json") is None
    assert places.exists(f"{web}/a.json")
    with places.local(f"{web}/a.json") as path:
        assert path.read_text() == '{"x": 1}'
    with pytest.raises(InputError, match="can be read and not written"), places.whole(f"{web}/c.json"):
        pass
    with pytest.raises(InputError, match="cannot be listed"):
        places.names(web)


def test_a_store_that_nobody_installed_is_one_line() -> None:
    with pytest.raises(InputError, match=r"nonsense://x/a.json: .*nonsense"):
        places.write_json("nonsense://x/a.json", 1)


def test_a_store_that_fails_is_asked_again_and_one_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shaky:
        calls = 0

        def exists(self, path: str) -> bool:
            self.calls += 1
            if self.calls < 3:
                raise ConnectionResetError("reset")
            return True

        def cat_file(self, path: str) -> bytes:
            threading.Event().wait(5)
            return b""

        def invalidate_cache(self, path: str) -> None: ...

    shaky = Shaky()
    waits: list[float] = []
    monkeypatch.setattr(places, "_system", lambda place: (shaky, place))
    monkeypatch.setattr(places.time, "sleep", waits.append)
    assert places.exists("shaky://a")
    assert (shaky.calls, waits) == (3, [0.0, 1.0, 2.0])
    monkeypatch.setattr(places, "DEADLINE", 0.05)
    with pytest.raises(InputError, match=r"shaky://a: reading it failed 4 times, last: reading shaky://a took longer than 0.05 s"):
        places.read_json("shaky://a")
