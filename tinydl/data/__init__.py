"""Datasets, loaders and transforms: everything between a file on the disk and a batch of Tensors."""

from tinydl.data import transforms
from tinydl.data.catalog import DATASETS, load
from tinydl.data.dataset import Dataset, Subset, TensorDataset, random_split
from tinydl.data.digit import normalize_digit
from tinydl.data.download import DownloadError, cache_folder
from tinydl.data.idx import read_idx
from tinydl.data.images import ImageDataset
from tinydl.data.loader import DataLoader, default_collate
from tinydl.data.mnist import MNIST, FashionMNIST
from tinydl.data.synthetic import SyntheticDigits
from tinydl.data.transforms import (
    Compose,
    Cutout,
    ElasticDeformation,
    Lambda,
    Normalize,
    RandomAffine,
    ToTensor,
)

__all__ = [
    "DATASETS",
    "MNIST",
    "Compose",
    "Cutout",
    "DataLoader",
    "Dataset",
    "DownloadError",
    "ElasticDeformation",
    "FashionMNIST",
    "ImageDataset",
    "Lambda",
    "Normalize",
    "RandomAffine",
    "Subset",
    "SyntheticDigits",
    "TensorDataset",
    "ToTensor",
    "cache_folder",
    "default_collate",
    "load",
    "normalize_digit",
    "random_split",
    "read_idx",
    "transforms",
]
