"""The command line: `tinydl train`, `evaluate`, `predict`, `compress`, `summary`, `profile`, `zoo`, and a few more."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from tinydl import __version__, zoo
from tinydl.commands import COMMANDS
from tinydl.compress.recipe import STEPS
from tinydl.compression import COMPRESSION
from tinydl.config import AUGMENTATIONS, OPTIMIZERS, SCHEDULES, RunConfig
from tinydl.data import DATASETS
from tinydl.inspection import INSPECTION

_DEFAULTS = RunConfig()

_RUN = "a run's folder (default: the newest under runs/)"

_EXAMPLES = """\
examples:
  tinydl train                                   MNIST with the default network, about 99.3 %
  tinydl train --model mlp --epochs 10           another network
  tinydl train --data synthetic --augment affine our own digits, deformed anew each epoch
  tinydl train --optimizer sgd --schedule cosine --lr 0.1 --weight-decay 5e-4
  tinydl train --resume runs/convnet-auto-seed0  go on where a run was interrupted
  tinydl predict four.png nine.png               what the newest run sees in pictures
  tinydl compress --recipe "prune 0.9, finetune 2, share 5, finetune 1, code"
  tinydl zoo                                     the networks there are, beside what their papers say
  tinydl summary mobilenet_v2                    layers, parameters, multiply-adds, memory
  tinydl profile mobilenet_v2 --batch 8          milliseconds a layer, forward and backward
  tinydl lessons                                 learn how all of this works, in JupyterLab
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command and return its exit code: 0, 1 for an error (one line on stderr), 2 for wrong usage.

    An interrupted training run returns 130 (SIGINT) or 143 (SIGTERM), after saving.

    >>> main(["summary", "lenetish", "--input", "1x28"])
    1
    """
    args = build_parser().parse_args(argv)
    try:
        code: int = (COMMANDS | COMPRESSION | INSPECTION)[args.command](args)
        sys.stdout.flush()
        return code
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader of our output has left, as `head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (ArithmeticError, ImportError, LookupError, MemoryError, OSError, TypeError, ValueError) as error:
        if args.debug:
            raise
        print(f"tinydl: error: {' '.join(str(error).split())}", file=sys.stderr)
        return 1


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="tinydl",
        description="A small deep learning engine: train lightweight networks on a laptop.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"tinydl {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="command")
    _add_train(commands)
    _add_compress(commands)
    _add_inspection(commands)
    _add_others(commands)
    for command in commands.choices.values():
        command.add_argument("--debug", action="store_true", default=False, help="show the whole traceback of an error")
    return parser


def _engine_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("engine")
    kinds = ("auto", "compiled", "reference")
    group.add_argument("--threads", type=int, default=None, help="threads of the kernels (default: one a core)")
    group.add_argument("--kernels", choices=kinds, default=None, help="which kernels (default: auto)")


def _add_train(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add `train`; settings that are not given stay out of the namespace, so that the config's defaults hold."""
    parser = commands.add_parser(
        "train",
        help="train a network, test it, keep checkpoints and pictures",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        argument_default=argparse.SUPPRESS,
    )

    def setting(name: str, kind: type, text: str, choices: Sequence[str] | None = None) -> None:
        default = getattr(_DEFAULTS, name)
        shown = "" if default is None else f" (default: {default})"
        parser.add_argument(f"--{name.replace('_', '-')}", type=kind, choices=choices, help=text + shown)

    setting("data", str, "what to train on; auto is MNIST, or synthetic where it cannot be had", DATASETS)
    setting("model", str, "the network; those of the literature get their stem for small images", zoo.names())
    setting("width", float, "factor of the network's channels, for networks that have one (default: 1)")
    setting("epochs", int, "how often to go through the images")
    setting("batch_size", int, "images a step")
    setting("optimizer", str, "the update rule", OPTIMIZERS)
    setting("schedule", str, "how the learning rate changes", SCHEDULES)
    setting("lr", float, "peak learning rate (default: 0.005 for adam and adamw, 0.05 for sgd, 0.001 for rmsprop)")
    setting("momentum", float, "of sgd and rmsprop")
    setting("weight_decay", float, "L2 penalty (decoupled for adamw)")
    setting("l1", float, "L1 penalty")
    setting("dropout", float, "probability of dropping, before the classifier")
    setting("label_smoothing", float, "share of the target spread over all classes")
    setting("augment", str, "random deformations of the training images", AUGMENTATIONS)
    setting("ema", float, "decay of an average of the weights that is validated and kept; 0: none")
    setting("clip", float, "largest norm of the gradient (default: no limit)")
    setting("accumulate", int, "batches whose gradients make one step")
    setting("patience", int, "stop after so many epochs without a better validation loss (default: never)")
    setting("validation", int, "images held out for validation")
    setting("limit", int, "use only so many images (default: all)")
    setting("seed", int, "of weights, order, augmentation and dropout")
    parser.add_argument("--out", default="runs", help="folder for runs (default: runs)")
    parser.add_argument("--name", default=None, help="name of the run's folder (default: model, data and seed)")
    parser.add_argument("--resume", default=None, metavar="RUN", help="go on with an interrupted run, bit for bit")
    parser.add_argument("--quiet", action="store_true", default=False, help="no progress bar")
    _engine_options(parser)


def _add_compress(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    words = "\n".join(f"  {word:10} {what}" for word, (_, what) in STEPS.items())
    parser = commands.add_parser(
        "compress",
        help="make a trained network smaller, and keep a ledger of what each step costs and saves",
        epilog=f"steps of a recipe:\n{words}\n\nexample:\n  prune 0.9, finetune 2 lr=0.001, share 5, finetune 1, code",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("run", nargs="?", help=_RUN)
    parser.add_argument("--recipe", required=True, help="steps separated by commas, or a file with a step a line")
    parser.add_argument(
        "--out", metavar="FOLDER", help="where the results go (default: compressed/ in the run's folder)"
    )
    parser.add_argument("--quiet", action="store_true", help="no progress bars")
    _engine_options(parser)


def _add_inspection(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("summary", help="layers, parameters, multiply-adds and memory of a network")
    _network_options(parser)
    parser.add_argument("--batch", type=int, help="also measure what a training step on so many images keeps in memory")
    _engine_options(parser)

    parser = commands.add_parser("profile", help="milliseconds a layer of a network, forward and backward")
    _network_options(parser)
    parser.add_argument("--batch", type=int, default=1, help="images at a time (default: 1)")
    parser.add_argument("--rounds", type=int, default=10, help="measurements of each median (default: 10)")
    parser.add_argument("--inference", action="store_true", help="leave out training steps")
    parser.add_argument("--picture", metavar="PNG", help="draw the layers that take longest")
    _engine_options(parser)

    parser = commands.add_parser("zoo", help="the networks, with parameters, multiply-adds and their papers' accuracy")
    parser.add_argument("start", nargs="?", default="", help="only networks whose names begin like this")


def _network_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "model", nargs="?", default=_DEFAULTS.model, help=f"see tinydl zoo (default: {_DEFAULTS.model})"
    )
    parser.add_argument("--input", help="channels x height x width (default: what the network was made for)")
    parser.add_argument("--small", action="store_true", help="its form for small images (default input: 1x28x28)")
    parser.add_argument("--width", type=float, help="a factor on its channels")
    parser.add_argument("--classes", type=int, help="how many classes it tells apart")


def _add_others(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser("evaluate", help="test a trained run again")
    parser.add_argument("run", nargs="?", help=_RUN)
    parser.add_argument("--data", choices=DATASETS, help="test on this instead (default: the run's own data)")
    _engine_options(parser)

    parser = commands.add_parser("predict", help="say which digit pictures show")
    parser.add_argument("images", nargs="+", help="PNG pictures of one digit each, dark on light or light on dark")
    parser.add_argument("--run", help=_RUN)
    _engine_options(parser)

    parser = commands.add_parser("warmup", help="compile all kernels now, so that training starts at once")
    _engine_options(parser)

    parser = commands.add_parser("data", help="fetch a data set and say what it holds")
    parser.add_argument("name", nargs="?", choices=DATASETS, default="auto")
    parser.add_argument("--picture", metavar="PNG", help="draw the first 100 images")

    parser = commands.add_parser("lessons", help="copy the lessons to a folder of yours and open them in JupyterLab")
    parser.add_argument("folder", nargs="?", default="tinydl-lessons", help="where to (default: tinydl-lessons)")
    parser.add_argument("jupyter", nargs="*", help="options for JupyterLab, after --")
    parser.add_argument("--copy-only", action="store_true", help="do not start JupyterLab")


if __name__ == "__main__":
    sys.exit(main())
