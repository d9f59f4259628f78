"""Networks to train."""

from tinydl.zoo.small import cnn1, cnn3, convnet, lenetish, mlp, mobile

__all__ = ["cnn1", "cnn3", "convnet", "lenetish", "mlp", "mobile"]
