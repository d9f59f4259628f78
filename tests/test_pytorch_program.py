"""A PyTorch program, word for word, of which only the import lines are exchanged.

Its structure is that of the MNIST example of github.com/pytorch/examples (Net, train, test, main with argparse and
StepLR), with SGD or Adam in the place of Adadelta, and arrays in the place of downloaded images.
"""

import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

IMPORTS = {
    "import torch": "import tinydl as torch",
    "import torch.nn as nn": "import tinydl.nn as nn",
    "import torch.nn.functional as F": "import tinydl.nn.functional as F",
    "import torch.optim as optim": "import tinydl.optim as optim",
    "from torch.optim.lr_scheduler import StepLR": "from tinydl.optim.lr_scheduler import StepLR",
    "from torch.utils.data import DataLoader, TensorDataset": "from tinydl.data import DataLoader, TensorDataset",
}

PROGRAM = """
import argparse
import torch
import torch.nn as nn
import torch.nn.functional as F
import torch.optim as optim
from torch.optim.lr_scheduler import StepLR
from torch.utils.data import DataLoader, TensorDataset


class Net(nn.Module):
    def __init__(self):
        super(Net, self).__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, 1)
        self.conv2 = nn.Conv2d(8, 16, 3, 1)
        self.dropout1 = nn.Dropout(0.25)
        self.dropout2 = nn.Dropout(0.5)
        self.fc1 = nn.Linear(16 * 12 * 12, 64)
        self.fc2 = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.conv1(x))
        x = F.relu(self.conv2(x))
        x = self.dropout1(F.max_pool2d(x, 2))
        x = torch.flatten(x, 1)
        x = self.dropout2(F.relu(self.fc1(x)))
        return F.log_softmax(self.fc2(x), dim=1)


def train(args, model, device, train_loader, optimizer, epoch):
    model.train()
    for batch_idx, (data, target) in enumerate(train_loader):
        data, target = data.to(device), target.to(device)
        optimizer.zero_grad()
        loss = F.nll_loss(model(data), target)
        loss.backward()
        optimizer.step()
        if batch_idx % args.log_interval == 0:
            done = batch_idx * len(data)
            print("epoch {} [{}/{}] loss {:.6f}".format(epoch, done, len(train_loader.dataset), loss.item()))


def test(model, device, test_loader):
    model.eval()
    test_loss, correct = 0, 0
    with torch.no_grad():
        for data, target in test_loader:
            data, target = data.to(device), target.to(device)
            output = model(data)
            test_loss += F.nll_loss(output, target, reduction="sum").item()
            pred = output.argmax(dim=1, keepdim=True)
            correct += pred.eq(target.view_as(pred)).sum().item()
    total = len(test_loader.dataset)
    print("test loss {:.4f}, accuracy {}/{}".format(test_loss / total, correct, total))
    return correct / total


def loader(images, labels, batch_size, shuffle=False):
    data = TensorDataset(torch.tensor(images, dtype=torch.float32).unsqueeze(1), torch.tensor(labels))
    return DataLoader(data, batch_size=batch_size, shuffle=shuffle)


def main(argv, train_data, test_data):
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--lr", type=float, default=0.03)
    parser.add_argument("--gamma", type=float, default=0.7)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=4)
    parser.add_argument("--adam", action="store_true")
    parser.add_argument("--save-model")
    args = parser.parse_args(argv)

    torch.manual_seed(args.seed)
    device = torch.device("cpu")
    train_loader = loader(*train_data, args.batch_size, shuffle=True)
    test_loader = loader(*test_data, 100)

    model = Net().to(device)
    if args.adam:
        optimizer = optim.Adam(model.parameters(), lr=args.lr)
    else:
        optimizer = optim.SGD(model.parameters(), lr=args.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = StepLR(optimizer, step_size=1, gamma=args.gamma)
    for epoch in range(1, args.epochs + 1):
        train(args, model, device, train_loader, optimizer, epoch)
        test(model, device, test_loader)
        scheduler.step()

    torch.save(model.state_dict(), args.save_model)
    again = Net()
    again.load_state_dict(torch.load(args.save_model))
    return model, test(again, device, test_loader), optimizer.param_groups[0]["lr"]
"""


def translated() -> str:
    """Return the program with its import lines exchanged, and nothing else."""
    lines = PROGRAM.splitlines()
    for theirs in IMPORTS:
        assert lines.count(theirs) == 1
    ours = [IMPORTS.get(line, line) for line in lines]
    assert not any("tinydl" in line for line, before in zip(ours, lines) if line == before)
    return "\n".join(ours)


def images(count: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return pictures 28 × 28 of a bar, moved about and under noise, and which of ten angles each bar has."""
    generator = np.random.default_rng(seed)
    labels = np.arange(count) % 10
    generator.shuffle(labels)
    angle = labels * np.pi / 10
    centre = 13.5 + generator.uniform(-1.5, 1.5, (2, count))
    y, x = np.mgrid[:28, :28][:, None] - centre[:, :, None, None]
    along = x * np.cos(angle)[:, None, None] + y * np.sin(angle)[:, None, None]
    across = y * np.cos(angle)[:, None, None] - x * np.sin(angle)[:, None, None]
    bars = (np.abs(along) < 11) & (np.abs(across) < 2)
    return (bars + 0.2 * generator.standard_normal(bars.shape)).astype(np.float32), labels


@pytest.mark.parametrize("options", [[], ["--adam", "--lr", "0.002"]], ids=["SGD", "Adam"])
def test_it_learns(options: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    program: dict[str, Any] = {"__name__": "program"}
    exec(compile(translated(), "program.py", "exec"), program)
    saved = tmp_path / "model.pt"
    model, accuracy, lr = program["main"]([*options, "--save-model", str(saved)], images(640, 0), images(300, 1))
    printed = capsys.readouterr().out
    losses = [float(loss) for loss in re.findall(r"^epoch .* loss ([\d.]+)$", printed, re.M)]
    accuracies = [int(right) / 300 for right in re.findall(r"accuracy (\d+)/300", printed)]
    assert len(losses) == 4 * 5
    assert 2.0 < losses[0] < 3.0
    assert np.mean(losses[-4:]) < 0.5 * losses[0]
    assert accuracies[3] > 0.95
    assert accuracy == accuracies[4] == accuracies[3], "what was saved is what was loaded"
    assert lr == pytest.approx((0.002 if options else 0.03) * 0.7**4)
    assert sum(p.numel() for p in model.parameters()) == 80 + 1168 + 147520 + 650
