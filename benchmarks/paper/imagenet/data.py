"""Pictures in folders named by their WordNet ids, and the tree over them."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.utils.data import Dataset

import fastemd as fe
from fastemd.data import table

SUFFIXES = (".jpeg", ".jpg", ".png")
MEAN, SD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet's pictures


class Files(NamedTuple):
    """Paths of pictures, and the number of the class of each."""

    paths: list[Path]
    classes: list[int]


def class_names(folder: Path) -> list[str]:
    """The names of the folders in ``train``, sorted; they are the WordNet ids of the classes.

    Raises
    ------
    ValueError
        If there are fewer than two, or ``val`` has others.
    """
    found = {part: sorted(p.name for p in (folder / part).glob("*") if p.is_dir()) for part in ("train", "val")}
    if len(found["train"]) < 2:
        raise ValueError(
            f"{folder} has {len(found['train'])} folders in train. Needed: two or more, train/<WordNet id>/*.JPEG, and "
            "the same in val; name the folder above train and val with --data"
        )
    if other := sorted(set(found["train"]) ^ set(found["val"])):
        raise ValueError(
            f"train and val of {folder} differ in {', '.join(other[:5])}. Needed: the same classes in both"
        )
    return found["train"]


def tree_of(names: list[str]) -> fe.Tree:
    """The shipped tree with these WordNet ids as its bins, in this order, labelled by their ids.

    The tree of ImageNet's 1,000 classes where it has them all, else that of the 21,841.

    Raises
    ------
    ValueError
        If a name is in neither.
    """
    for which in ("1k", "21k"):
        whole = fe.Tree.imagenet(which)
        ids = table(f"imagenet{which}_tree")["wnid"]
        node = {name: v for v, name in enumerate(ids)}
        if not (unknown := [name for name in names if name not in node]):
            return fe.Tree(whole.parent, whole.length, [node[name] for name in names], labels=ids)
    raise ValueError(
        f"the folder {unknown[0]} is no WordNet id of ImageNet's trees. Needed: names such as n02085620; rename it"
    )


def pictures(folder: Path, names: list[str]) -> list[list[Path]]:
    """The pictures of each class, sorted by name.

    Raises
    ------
    ValueError
        If a class has none.
    """
    found = [sorted(p for p in (folder / name).iterdir() if p.suffix.lower() in SUFFIXES) for name in names]
    for name, paths in zip(names, found, strict=True):
        if not paths:
            raise ValueError(f"{folder / name} has no picture. Needed: files that end in {', '.join(SUFFIXES)}")
    return found


def drawn(found: list[list[Path]], counts: tuple[int, int], seed: int) -> tuple[Files, Files]:
    """So many pictures a class for training and for validation, none in both.

    Raises
    ------
    ValueError
        If a class has too few.
    """
    rng, parts = np.random.default_rng(seed), (Files([], []), Files([], []))
    for k, paths in enumerate(found):
        if len(paths) < sum(counts):
            raise ValueError(
                f"{paths[0].parent} has {len(paths)} pictures. Needed: {counts[0]} for training and {counts[1]} for "
                "validation; ask for fewer with --per-class and --validation"
            )
        order = [paths[i] for i in rng.permutation(len(paths))]
        for part, of_class in zip(parts, (order[: counts[0]], order[counts[0] : sum(counts)]), strict=True):
            part.paths.extend(of_class)
            part.classes.extend([k] * len(of_class))
    return parts


class Pictures(Dataset):
    """Files as tensors (3, size, size).

    In training a random part of the picture, of 8 % to 100 % of its area, perhaps mirrored; otherwise the middle of it,
    its shorter side brought to 8/7 of the size before.
    """

    def __init__(self, files: Files, size: int, *, training: bool) -> None:
        self.files, self.size, self.training = files, size, training

    def __len__(self) -> int:
        return len(self.files.paths)

    def __getitem__(self, i: int) -> tuple[Tensor, int]:
        with Image.open(self.files.paths[i]) as opened:
            picture = opened.convert("RGB")
        picture = self._random_part(picture) if self.training else self._middle(picture)
        x = torch.from_numpy(np.asarray(picture, np.float32) / 255)
        return ((x - torch.tensor(MEAN)) / torch.tensor(SD)).movedim(-1, 0).contiguous(), self.files.classes[i]

    def _random_part(self, picture: Image.Image) -> Image.Image:
        width, height = picture.size
        area, skew, left, top, mirrored = torch.rand(5).tolist()
        area, skew = width * height * (0.08 + 0.92 * area), (4 / 3) ** (2 * skew - 1)
        w, h = min(width, round((area * skew) ** 0.5)), min(height, round((area / skew) ** 0.5))
        x, y = round(left * (width - w)), round(top * (height - h))
        part = picture.resize((self.size, self.size), Image.Resampling.BILINEAR, (x, y, x + w, y + h))
        return part.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if mirrored < 0.5 else part

    def _middle(self, picture: Image.Image) -> Image.Image:
        side = min(picture.size) * 7 / 8
        x, y = ((length - side) / 2 for length in picture.size)
        return picture.resize((self.size, self.size), Image.Resampling.BILINEAR, (x, y, x + side, y + side))
