from __future__ import annotations

import gzip
import hashlib
import os
import re
import subprocess
import sys
import threading
import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from tinydl.data import download
from tinydl.data.download import Archive, DownloadError, Fingerprint, cache_folder, fetch
from tinydl.data.mnist import _DIGITS, _FASHION

SMALL, LARGE = gzip.compress(b"labels"), gzip.compress(os.urandom(200_000))
FILES = {"large.gz": LARGE, "small.gz": SMALL}
PAGE = b"<html>Please accept our cookies</html>"


class Handler(BaseHTTPRequestHandler):
    """Serves every file under a first folder whose name says how the mirror behaves."""

    def do_GET(self) -> None:
        _, behaviour, name = self.path.split("/")
        self.server.asked.append(self.path)
        content = FILES[name]
        if behaviour == "forbidden" or behaviour == f"forbidden-{name[:5]}":
            self.send_error(403)
            return
        if behaviour == "page":
            content = PAGE
        if behaviour == "flood" and name == "large.gz":
            content = bytes(4_000_000)
        if behaviour == "silent" and name == "large.gz":
            self.server.release.wait(20)
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        cut = 100_000 if behaviour in ("cut", "stuck") and name == "large.gz" else len(content)
        with suppress(BrokenPipeError, ConnectionResetError):  # the client had enough
            self.wfile.write(content[:cut])
            self.wfile.flush()
            if behaviour == "stuck" and name == "large.gz":
                self.server.release.wait(20)
        self.close_connection = True

    def log_message(self, *args: object) -> None:
        """Stay silent."""


@pytest.fixture
def server(monkeypatch):
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.asked, server.release = [], threading.Event()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.release.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def archive(server):
    def make(*behaviours: str) -> Archive:
        base = f"http://127.0.0.1:{server.server_port}"
        return Archive("things", "Things", tuple(f"{base}/{b}/" for b in behaviours), _files())

    return make


def assert_complete(folder: Path) -> None:
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == FILES


def test_downloads_once(archive, server, tmp_path):
    fetch(archive("good"), FILES, tmp_path / "new" / "folder")
    assert_complete(tmp_path / "new" / "folder")
    server.asked.clear()
    fetch(archive("good"), FILES, tmp_path / "new" / "folder")
    assert server.asked == []


@pytest.mark.parametrize("bad", ["page", "forbidden", "forbidden-large", "cut", "flood"])
def test_a_bad_mirror_is_followed_by_the_next(archive, tmp_path, bad):
    fetch(archive(bad, "good"), FILES, tmp_path)
    assert_complete(tmp_path)


@pytest.mark.parametrize("bad", ["silent", "stuck"])
def test_a_mirror_that_stops_answering_is_given_up(archive, server, tmp_path, bad):
    start = time.monotonic()
    fetch(archive(bad, "good"), FILES, tmp_path, patience=1.5)
    assert time.monotonic() - start < 10
    assert_complete(tmp_path)


def test_a_wrong_file_is_refused_with_both_checksums_and_what_to_do(archive, tmp_path):
    with pytest.raises(DownloadError) as caught:
        fetch(archive("page", "forbidden-large"), ["large.gz"], tmp_path)
    message = str(caught.value)
    assert hashlib.sha256(LARGE).hexdigest() in message
    assert hashlib.sha256(PAGE).hexdigest() in message
    assert "HTTP 403" in message
    assert str(tmp_path) in message
    assert "TINYDL_DATA" in message
    assert "\n" not in message
    assert isinstance(caught.value, OSError)
    assert isinstance(caught.value, ValueError)
    assert list(tmp_path.iterdir()) == []


def test_nothing_answers(archive, tmp_path):
    with pytest.raises(DownloadError, match="none of 2 mirrors answers") as caught:
        fetch(archive("forbidden", "forbidden-small"), FILES, tmp_path)
    assert "HTTP 40" in caught.value.reason
    assert caught.value.reason in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_offline(server, archive, tmp_path):
    nobody = archive("good")
    server.shutdown()
    server.server_close()
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"none of 1 mirrors answers \(ConnectionError\)"):
        fetch(nobody, FILES, tmp_path)
    assert time.monotonic() - start < 3


def _files() -> dict[str, Fingerprint]:
    return {name: Fingerprint(len(content), hashlib.sha256(content).hexdigest()) for name, content in FILES.items()}


def test_many_silent_mirrors_cost_one_time_limit(monkeypatch, tmp_path):
    """Packets that vanish: each mirror would cost its own time limit if they were asked in turn."""
    monkeypatch.setattr(download, "_download", lambda *args, **kwargs: time.sleep(3))
    start = time.monotonic()
    with pytest.raises(DownloadError, match=r"no answer in 0\.3 s"):
        fetch(Archive("things", "Things", ("a/", "b/", "c/", "d/"), _files()), FILES, tmp_path, patience=0.3)
    assert time.monotonic() - start < 1


def test_a_mirror_that_drips_is_given_up(archive, tmp_path, monkeypatch):
    monkeypatch.setattr(download, "_FILE_SECONDS", -1.0)
    with pytest.raises(DownloadError, match="too slow"):
        fetch(archive("good"), ["large.gz"], tmp_path)


def test_a_damaged_or_partial_file_is_replaced(archive, tmp_path):
    (tmp_path / "small.gz").write_bytes(SMALL[:-1] + b"?")
    (tmp_path / "large.gz").write_bytes(LARGE[:100])
    fetch(archive("good"), FILES, tmp_path)
    assert_complete(tmp_path)


def test_a_full_disk_is_named(archive, tmp_path, monkeypatch):
    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(DownloadError, match="No space left on device"):
        fetch(archive("good"), ["small.gz"], tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_the_file_is_on_the_disk_before_it_has_its_name(archive, tmp_path, monkeypatch):
    events = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda handle: (events.append("fsync"), fsync(handle))[1])
    monkeypatch.setattr(os, "replace", lambda a, b: (events.append("replace"), replace(a, b))[1])
    fetch(archive("good"), ["small.gz"], tmp_path)
    assert events == ["fsync", "replace", "fsync"]  # the file, its name, the folder that holds the name


def test_killed_in_the_middle_leaves_no_file_of_that_name(archive, server, tmp_path):
    program = (
        "from pathlib import Path\n"
        "from tinydl.data.download import Archive, Fingerprint, fetch\n"
        f"fetch({archive('stuck')!r}, ['large.gz'], Path({str(tmp_path)!r}), patience=60)"
    )
    process = subprocess.Popen([sys.executable, "-c", program])
    deadline = time.monotonic() + 60
    while not any(part.stat().st_size for part in tmp_path.iterdir()) and time.monotonic() < deadline:
        assert process.poll() is None
        server.release.wait(0.05)
    process.kill()
    process.wait()
    assert not (tmp_path / "large.gz").exists()
    (left,) = tmp_path.iterdir()
    assert left.name.endswith(".part")
    fetch(archive("good"), FILES, tmp_path)
    assert (tmp_path / "large.gz").read_bytes() == LARGE


def test_many_at_once(archive, tmp_path):
    failures = []

    def run() -> None:
        try:
            fetch(archive("good"), FILES, tmp_path)
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert_complete(tmp_path)


def test_the_cache_is_where_the_environment_says(monkeypatch, tmp_path):
    monkeypatch.setenv("TINYDL_CACHE", str(tmp_path))
    assert cache_folder() == tmp_path
    monkeypatch.delenv("TINYDL_CACHE")
    assert "tinydl" in cache_folder().parts


@pytest.mark.parametrize("archive", [_DIGITS, _FASHION], ids=lambda a: a.name)
def test_the_archives_are_well_formed(archive):
    assert len(archive.mirrors) >= 3
    assert len({m.split("/")[2] for m in archive.mirrors}) == len(archive.mirrors), "mirrors on different hosts"
    assert all(m.startswith("http") and m.endswith("/") for m in archive.mirrors)
    assert len(archive.files) == 4
    assert all(re.fullmatch("[0-9a-f]{64}", f.sha256) for f in archive.files.values())


def test_the_fingerprints_of_mnist():
    folder = Path(os.environ.get("TINYDL_DATA", "nowhere"), "mnist")
    if not folder.is_dir():
        pytest.skip("TINYDL_DATA has no mnist folder")
    for name, expected in _DIGITS.files.items():
        content = (folder / name).read_bytes()
        assert (len(content), hashlib.sha256(content).hexdigest()) == tuple(expected)


def test_a_notebook_without_widgets_is_not_told_so(tmp_path, monkeypatch):
    text = "import warnings\nwarnings.warn('IProgress not found. Please update jupyter and ipywidgets.')\n"
    (tmp_path / "pooch.py").write_text(f"{text}def os_cache(name):\n    return name\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(sys.modules, "pooch", None)  # so that what is there now comes back
    del sys.modules["pooch"]
    monkeypatch.delenv("TINYDL_CACHE", raising=False)
    assert cache_folder() == Path("tinydl")  # where warnings are errors
