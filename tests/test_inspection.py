"""`tinydl summary`, `profile` and `zoo` as a user meets them."""

import pytest

from tinydl import kernels, zoo
from tinydl.cli import main
from tinydl.kernels.threads import num_threads, set_num_threads


@pytest.fixture(autouse=True)
def engine_as_before():
    threads = num_threads()
    with kernels.use(kernels.active()):
        yield
    set_num_threads(threads)


def lines_of(argv, capsys):
    assert main(argv) == 0, capsys.readouterr().err
    return capsys.readouterr().out.splitlines()


def test_summary(capsys):
    lines = lines_of(["summary", "mobile"], capsys)
    assert lines[0].split()[:4] == ["layer", "kind", "output", "sees"]
    assert next(line for line in lines if line.startswith("total")).split()[1:3] == ["36,874", "922,336"]
    assert lines[-1].startswith("file: 158.6 kB")
    assert "one input 1×28×28" in lines[-4]


def test_summary_at_the_papers_size_or_another_one(capsys):
    total = next(line for line in lines_of(["summary", "mobilenet_v3_small"], capsys) if line.startswith("total"))
    assert total.split()[1:3] == ["2,542,856", "56,510,400"]
    smaller = lines_of(["summary", "mobilenet_v3_small", "--input", "1x64x32", "--classes", "10"], capsys)
    assert "one input 1×64×32" in smaller[-4]
    assert smaller[2].split()[2] == "16×32×16"
    assert any(line.split()[1:3] == ["Linear", "10"] for line in smaller)


def test_summary_of_a_small_form_and_what_training_keeps(capsys):
    lines = lines_of(["summary", "mobilenet_v1", "--small", "--width", "0.25", "--batch", "4"], capsys)
    assert lines[2].split()[2] == "8×28×28"
    assert lines[-1].startswith("training: a step on a batch of 4 keeps ")
    both = [lines_of(["summary", "mlp", "--batch", n], capsys)[-1] for n in ("1", "10")]
    assert [line.split()[-6:-4] for line in both] == [["4.7", "kB"], ["46.7", "kB"]]


def test_profile_and_its_picture(tmp_path, capsys):
    picture = tmp_path / "times.png"
    options = ["--batch", "2", "--rounds", "1", "--threads", "1", "--kernels", "reference", "--picture", str(picture)]
    lines = lines_of(["profile", "lenetish", *options], capsys)
    assert " ".join(lines[0].split()) == "layer kind MACs inference share GFLOP/s forward backward of step"
    assert lines[2].split()[:3] == ["0", "Conv2d", "288,000"]
    assert lines[-2].startswith("engine: reference kernels, threads: 1, batch: 2")
    assert lines[-1] == f"the longest layers: {picture}"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_profile_of_inference_alone(tmp_path, capsys):
    picture = tmp_path / "times.png"
    lines = lines_of(["profile", "mlp", "--rounds", "1", "--inference", "--picture", str(picture)], capsys)
    assert lines[0].split()[-1] == "GFLOP/s"
    assert picture.exists()


def test_zoo_lists_what_is_counted_beside_what_is_published(capsys):
    lines = lines_of(["zoo", "lenet"], capsys)
    assert [line.split()[0] for line in lines] == ["network", "lenet_300_100", "lenet5", "lenetish", "MACs:"]
    assert lines[2].split() == ["lenet5", "1×28×28", "431,080", "2,293,000", "431", "k", "99.2", "%"]
    assert lines[3].split() == ["lenetish", "1×28×28", "21,840", "480,500"]
    line = lines_of(["zoo", "mobilenet_v2"], capsys)[1]
    assert line.split()[2:] == ["3,504,872", "300,774,272", "3.4", "M", "300", "M", "72.0", "%"]


def test_every_network_can_be_named(monkeypatch, capsys):
    """All of them are listed; that they are counted right is the zoo's test."""
    monkeypatch.setattr(zoo, "build", lambda name, **settings: zoo.mlp(**settings))
    monkeypatch.setattr("tinydl.inspection.zeros_for", lambda *args: [])
    monkeypatch.setattr("tinydl.inspection.trace", lambda *args: [])
    lines = lines_of(["zoo"], capsys)
    assert [line.split()[0] for line in lines[1:-1]] == list(zoo.names())


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["summary", "--input", "28"], "--input must look like 1x28x28"),
        (["summary", "lenetish", "--input", "1x28x0"], "got '1x28x0'"),
        (["summary", "mlp", "--input", "1x20x20"], "axis I is 400"),
        (["summary", "resnet81"], "no network is called 'resnet81'; did you mean resnet18"),
        (["summary", "mlp", "--width", "0.5"], "mlp takes"),
        (["summary", "mlp", "--batch", "0"], "--batch must be at least 1, got 0"),
        (["profile", "mlp", "--batch", "-1"], "--batch must be at least 1, got -1"),
        (["profile", "mlp", "--rounds", "0"], "--rounds must be at least 1, got 0"),
        (["zoo", "vgg"], "no network's name begins with 'vgg'; there are "),
    ],
)
def test_errors_are_one_line(argv, message, capsys):
    assert main(argv) == 1
    err = capsys.readouterr().err
    assert err.startswith("tinydl: error: ")
    assert err.count("\n") == 1
    assert message in err
