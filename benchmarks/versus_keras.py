"""The Keras Sequential script of cnn3 on MNIST, side by side with ours: 5 epochs, batch 32, Adam.

    TINYDL_DATA=... python benchmarks/versus_keras.py

Without TensorFlow only our side runs. Each side is a fresh process; its time is that of `fit`, without imports.
"""

import argparse
import importlib.util
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from environment import describe

EPOCHS, BATCH = 5, 32


def arrays() -> list[Any]:
    """Return images in [0, 1] and labels of the training and the test set."""
    from tinydl.data import MNIST

    parts = [MNIST(train=train) for train in (True, False)]
    return [a for part in parts for a in (part.images.astype(np.float32) / 255, part.labels)]


def run_tinydl() -> tuple[float, float]:
    """Return (seconds of fit, test accuracy)."""
    import tinydl
    from tinydl import zoo
    from tinydl.data import DataLoader, TensorDataset

    tinydl.manual_seed(0)
    x, y, test_x, test_y = arrays()
    model = zoo.cnn3()
    loader = DataLoader(TensorDataset(x[:, None], y), BATCH, shuffle=True)
    started = time.perf_counter()
    tinydl.fit(model, loader, epochs=EPOCHS)
    seconds = time.perf_counter() - started
    return seconds, tinydl.evaluate(model, DataLoader(TensorDataset(test_x[:, None], test_y), 500)).accuracy


def run_keras() -> tuple[float, float]:
    """Return (seconds of fit, test accuracy)."""
    import keras
    from keras import layers

    keras.utils.set_random_seed(0)
    x, y, test_x, test_y = arrays()
    model = keras.Sequential(
        [
            layers.Input((28, 28, 1)),
            layers.Conv2D(32, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(64, 3, activation="relu"),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
            layers.Dense(10, activation="softmax"),
        ]
    )
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    started = time.perf_counter()
    model.fit(x[..., None], y, epochs=EPOCHS, batch_size=BATCH, verbose=0)
    seconds = time.perf_counter() - started
    return seconds, model.evaluate(test_x[..., None], test_y, verbose=0)[1]


def main() -> None:
    """Print both sides."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        print(json.dumps((run_tinydl if args.worker == "tinydl" else run_keras)()))
        return
    print(describe(2, ("numpy", "numba", "tensorflow", "keras")))
    engines = ["tinydl"] + (["keras"] if importlib.util.find_spec("keras") else [])
    seconds = {}
    for engine in engines:
        argv = [sys.executable, str(Path(__file__)), "--worker", engine]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        seconds[engine], accuracy = json.loads(done.stdout.splitlines()[-1])
        print(f"{engine:8} {seconds[engine]:7.1f} s in fit, test accuracy {100 * accuracy:.2f} %", flush=True)
    if "keras" in seconds:
        print(f"ratio {seconds['tinydl'] / seconds['keras']:.2f}")


if __name__ == "__main__":
    main()
