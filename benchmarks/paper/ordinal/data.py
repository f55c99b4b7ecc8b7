"""Real tables with ordered classes, out of packages that ship them."""

from __future__ import annotations

import importlib
from typing import NamedTuple

import numpy as np

BINS = 10  # of targets that are numbers
SHARES = (0.6, 0.2, 0.2)  # of the rows for training, validation and test
NEEDED = "pip install 'fastemd[paper]'"


class Data(NamedTuple):
    """Features, classes 0 .. bins - 1 in their order, and what they are."""

    x: np.ndarray
    y: np.ndarray
    bins: int
    what: str


class Split(NamedTuple):
    """Features and classes of the rows of one split."""

    x: np.ndarray
    y: np.ndarray


def fair() -> Data:
    """Ratings of marriages (Fair, 1978) out of eight answers, occupations as indicators."""
    table = _statsmodels("fair")
    ordered = ["age", "yrs_married", "children", "religious", "educ", "affairs"]
    features = [table[name] for name in ordered]
    for name in ("occupation", "occupation_husb"):
        features += [table[name] == value for value in np.unique(table[name])]
    return Data(_matrix(features), table["rate_marriage"].astype(int) - 1, 5, "rating of the marriage, 1 to 5")


def anes96() -> Data:
    """Party identification of voters (American National Election Study of 1996) out of eight answers."""
    table = _statsmodels("anes96")
    names = ["logpopul", "TVnews", "selfLR", "ClinLR", "DoleLR", "age", "educ", "income"]
    return Data(_matrix([table[name] for name in names]), table["PID"].astype(int), 7, "party identification, 0 to 6")


def diabetes() -> Data:
    """Progress of diabetes after a year, in tenths of the patients, out of ten measurements."""
    from sklearn.datasets import load_diabetes

    x, target = load_diabetes(return_X_y=True)
    return Data(_matrix(x.T), quantile_bins(target), BINS, "progress of the disease, in tenths of the patients")


def ink() -> Data:
    """How much ink a picture of a digit has, in tenths of the pictures, out of its upper left quarter."""
    from sklearn.datasets import load_digits

    pictures = load_digits().images
    quarter = pictures[:, :4, :4].reshape(len(pictures), -1)
    return Data(_matrix(quarter.T), quantile_bins(pictures.sum(axis=(1, 2))), BINS, "ink of a digit, in tenths")


LOADERS = {"fair": fair, "anes96": anes96, "diabetes": diabetes, "ink": ink}


def quantile_bins(target: np.ndarray, bins: int = BINS) -> np.ndarray:
    """The bin of each number, bins holding about equally many."""
    borders = np.quantile(target, np.arange(1, bins) / bins)
    return np.searchsorted(borders, target, side="right")


def splits(data: Data, seed: int, rows: int | None = None) -> tuple[Split, Split, Split]:
    """Training, validation and test rows of a seed.

    Parameters
    ----------
    data : Data
    seed : int
    rows : int, optional
        How many of the training rows to keep.

    Returns
    -------
    tuple of Split
        Features are brought to mean 0 and standard deviation 1 in the training rows.
    """
    order = np.random.default_rng(seed).permutation(len(data.y))
    ends = np.round(np.cumsum(SHARES) * len(order)).astype(int)
    train, validation, test = np.split(order, ends[:2])
    train = train[:rows]
    mean, sd = data.x[train].mean(axis=0), data.x[train].std(axis=0)
    scaled = ((data.x - mean) / np.where(sd > 0, sd, 1)).astype(np.float32)
    return tuple(Split(scaled[part], data.y[part]) for part in (train, validation, test))


def _statsmodels(name: str) -> dict[str, np.ndarray]:
    try:
        module = importlib.import_module(f"statsmodels.datasets.{name}")
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"the data set {name} comes with statsmodels, which is missing; {NEEDED}") from error
    table = module.load_pandas().data
    return {column: table[column].to_numpy(float) for column in table}


def _matrix(features: list[np.ndarray]) -> np.ndarray:
    return np.stack([np.asarray(feature, float) for feature in features], axis=1)
