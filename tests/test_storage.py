import errno
import json
import os
import signal
import stat
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import safetensors.numpy

from tinydl import storage
from tinydl.storage import CheckpointError, read, write_atomically, write_sealed

ARRAYS = {"w": np.arange(6, dtype=np.float32).reshape(2, 3), "b": np.array([True, False])}


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.safetensors"
    write_sealed(path, ARRAYS, {"note": 'say "tinydl.sha256":"' + "0" * 64})
    return path


def same(arrays, expected):
    return arrays.keys() == expected.keys() and all(
        np.array_equal(arrays[k], v) and arrays[k].dtype == v.dtype and arrays[k].shape == v.shape
        for k, v in expected.items()
    )


# ---- what is written is what is read


def test_round_trip(file):
    arrays, metadata = read(file)
    assert same(arrays, ARRAYS)
    assert metadata["note"] == 'say "tinydl.sha256":"' + "0" * 64
    arrays["w"][...] = 1  # not a view of something read-only


def test_other_programs_can_read_it(file):
    assert same(safetensors.numpy.load_file(file), ARRAYS)


def test_the_digest_is_that_of_the_file_with_zeros_in_its_place(file):
    import hashlib

    digest = read(file)[1]["tinydl.sha256"]
    blanked = file.read_bytes().replace(digest.encode(), b"0" * 64)
    assert hashlib.sha256(blanked).hexdigest() == digest


def test_any_layout_and_byte_order_is_written_alike(tmp_path):
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)
    for i, a in enumerate((array[::-1, :, ::2], np.asfortranarray(array), array.transpose(2, 0, 1), array[:0])):
        write_sealed(tmp_path / str(i), {"a": a}, {})
        assert same(read(tmp_path / str(i))[0], {"a": a})


# ---- damage


def test_every_truncation_is_refused(file):
    data = file.read_bytes()
    for foreign in (False, True):
        for length in range(len(data)):
            file.write_bytes(data[:length])
            with pytest.raises(CheckpointError):
                read(file, foreign=foreign)


@pytest.mark.parametrize("foreign", [False, True])
@pytest.mark.parametrize("flip", [1, 0x20, 0x80, 0xFF])
def test_every_flipped_byte_is_refused(file, flip, foreign):
    data = file.read_bytes()
    for i in range(len(data)):
        file.write_bytes(data[:i] + bytes([data[i] ^ flip]) + data[i + 1 :])
        with pytest.raises(CheckpointError):
            read(file, foreign=foreign)


def test_changes_that_mean_nothing_to_json_are_refused_too(file):
    data = file.read_bytes()
    padded = (int.from_bytes(data[:8], "little") + 8).to_bytes(8, "little")
    end = 8 + int.from_bytes(data[:8], "little")
    for other in (data + b"\0", padded + data[8:end] + b" " * 8 + data[end:], data.replace(b'"note"', b'"not\\u0065"')):
        file.write_bytes(other)
        with pytest.raises(CheckpointError):
            read(file)


def test_an_empty_file_and_a_folder(tmp_path):
    (tmp_path / "empty").touch()
    for foreign in (False, True):
        with pytest.raises(CheckpointError, match="empty"):
            read(tmp_path / "empty", foreign)
    with pytest.raises(OSError, match=r"folder|directory|denied"):
        read(tmp_path)
    with pytest.raises(FileNotFoundError):
        read(tmp_path / "none")


def test_foreign_files_are_read_only_where_allowed(tmp_path):
    path = tmp_path / "foreign"
    safetensors.numpy.save_file(ARRAYS, path, metadata={"format": "np"})
    with pytest.raises(CheckpointError, match="SHA-256 is missing"):
        read(path)
    arrays, metadata = read(path, foreign=True)
    assert same(arrays, ARRAYS)
    assert metadata == {"format": "np"}


def test_dtypes_that_numpy_lacks_are_refused(tmp_path):
    header = b'{"w":{"dtype":"BF16","shape":[1],"data_offsets":[0,2]}}'
    (tmp_path / "w").write_bytes(len(header).to_bytes(8, "little") + header + b"\0\0")
    with pytest.raises(CheckpointError, match="BF16"):
        read(tmp_path / "w", foreign=True)


def test_a_newer_format_is_refused_by_its_number(file, monkeypatch):
    monkeypatch.setattr(storage, "FORMAT", 7)
    write_sealed(file, ARRAYS, {})
    assert same(read(file)[0], ARRAYS)
    monkeypatch.undo()
    for foreign in (False, True):
        with pytest.raises(CheckpointError, match="format 7, this version of tinydl reads formats up to 1"):
            read(file, foreign)


def test_a_pickle_is_refused(tmp_path):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was loaded",))

    np.save(tmp_path / "bomb.npy", np.array([Bomb()], dtype=object), allow_pickle=True)
    for foreign in (False, True):
        with pytest.raises(CheckpointError):
            read(tmp_path / "bomb.npy", foreign)


# ---- atomic


def test_an_existing_file_is_replaced_and_nothing_else_is_left(tmp_path):
    for data in (b"one", b"two"):
        write_atomically(tmp_path / "a", data)
        assert (tmp_path / "a").read_bytes() == data
    assert os.listdir(tmp_path) == ["a"]


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real" / "a")
    write_atomically(tmp_path / "link", b"data")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "a").read_bytes() == b"data"


def test_the_new_file_has_ordinary_permissions(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "a", b"data")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "plain").stat().st_mode


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        write_atomically(tmp_path / "none" / "a", b"data")


@pytest.mark.parametrize("call", ["fsync", "write", "replace"])
@pytest.mark.parametrize("error", [OSError(errno.ENOSPC, "No space left on device"), KeyboardInterrupt()])
def test_a_failure_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call, error):
    def fail(*args, **kwargs):
        raise error

    (tmp_path / "a").write_bytes(b"old")
    if call == "fsync":
        monkeypatch.setattr(storage.os, "fsync", fail)
    elif call == "replace":
        monkeypatch.setattr(storage.Path, "replace", fail)
    else:
        monkeypatch.setattr(storage.Path, "open", lambda *args: FullDisk(open(*args), error))  # noqa: SIM115
    with pytest.raises(type(error)):
        write_atomically(tmp_path / "a", b"new")
    monkeypatch.undo()
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


class FullDisk:
    """A file that takes half of what is written and then fails."""

    def __init__(self, file, error):
        self.file, self.error = file, error

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.file.close()

    def write(self, data):
        self.file.write(data[: len(data) // 2])
        raise self.error


def run(code, *arguments):
    program = [sys.executable, "-c", textwrap.dedent(code), *map(str, arguments)]
    return subprocess.run(program, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX limits")
def test_a_full_disk_as_the_system_reports_it(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    done = run(
        """
        import resource, sys
        from tinydl.storage import write_atomically
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
        write_atomically(sys.argv[1], bytes(100_000))
        """,
        tmp_path / "a",
    )
    assert "OSError: [Errno 27] File too large" in done.stderr
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a").read_bytes() == b"old"


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="the superuser writes everywhere")
def test_a_folder_without_permission(tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(PermissionError):
            write_atomically(tmp_path / "a", b"new")
        assert (tmp_path / "a").read_bytes() == b"old"
    finally:
        tmp_path.chmod(0o700)


@pytest.mark.skipif(os.name == "nt", reason="needs SIGKILL")
@pytest.mark.parametrize(
    "moment, survives", [("half written", "old"), ("before fsync", "old"), ("before replace", "old"), ("after", "new")]
)
def test_kill_9_leaves_the_old_file_or_the_new_one(tmp_path, moment, survives):
    path = tmp_path / "a.safetensors"
    write_sealed(path, {"w": np.zeros(1000)}, {"which": "old"})
    done = run(
        """
        import io, os, signal, sys
        import numpy as np
        from tinydl import storage
        path, moment = sys.argv[1:]
        die = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
        if moment == "before fsync":
            storage.os.fsync = die
        elif moment == "before replace":
            storage.Path.replace = die
        elif moment == "after":
            storage._sync_folder = die
        else:
            class Half(io.FileIO):
                def write(self, data):
                    super().write(data[: len(data) // 2])
                    die()
            storage.Path.open = lambda path, mode: Half(path, mode)
        storage.write_sealed(path, {"w": np.ones(1000)}, {"which": "new"})
        """,
        path,
        moment,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    arrays, metadata = read(path)
    assert metadata["which"] == survives
    assert arrays["w"].tolist() == [float(survives == "new")] * 1000
    write_sealed(path, {"w": np.full(1000, 2.0)}, {})  # what the dead process left behind is in nobody's way
    assert read(path)[0]["w"][0] == 2


def test_the_data_reaches_the_disk_before_its_name_does(tmp_path, monkeypatch):
    fsync, replace, calls = os.fsync, storage.Path.replace, []

    def note_fsync(handle):
        calls.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "data")
        fsync(handle)

    def note_replace(part, target):
        assert part.parent == target.parent  # only inside one folder is it atomic
        calls.append("replace")
        return replace(part, target)

    monkeypatch.setattr(storage.os, "fsync", note_fsync)
    monkeypatch.setattr(storage.Path, "replace", note_replace)
    write_atomically(tmp_path / "a", b"data")
    assert calls == ["data", "replace"] + (["folder"] if os.name != "nt" else [])


def test_nothing_in_the_header_is_hidden_from_json(file):
    data = file.read_bytes()
    header = json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")])
    assert set(header["__metadata__"]) == {"note", "tinydl.format", "tinydl.sha256"}
