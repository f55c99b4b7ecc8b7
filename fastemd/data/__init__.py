"""The shipped hierarchies and sense counts, read as columns. README.md, beside, says what they hold."""

from __future__ import annotations

import gzip
from importlib import resources

from ..arrays.inputs import one_of

FILES = {
    "imagenet1k_tree": "imagenet1k_tree.tsv",
    "imagenet21k_tree": "imagenet21k_tree.tsv.gz",
    "wordnet_noun_tree": "wordnet_noun_tree.tsv.gz",
    "wordnet_noun_senses": "wordnet_noun_senses.tsv.gz",
}


def table(name: str) -> dict[str, list[str]]:
    """Read a shipped table.

    Parameters
    ----------
    name : {"imagenet1k_tree", "imagenet21k_tree", "wordnet_noun_tree", "wordnet_noun_senses"}

    Returns
    -------
    dict of str to list of str
        The columns by name, each of them text, empty where a row has no entry.

    Raises
    ------
    TypeError, ValueError
        If there is no such table.

    Examples
    --------
    >>> from fastemd.data import table
    >>> {column: cells[0] for column, cells in table("wordnet_noun_senses").items()}
    {'lemma': '0', 'wnid': 'n13742358', 'count': '20'}
    """
    file = FILES[one_of(name, FILES, "name")]
    content = resources.files(__name__).joinpath(file).read_bytes()
    if file.endswith(".gz"):
        content = gzip.decompress(content)
    header, *rows = (line.split("\t") for line in content.decode().splitlines())
    return dict(zip(header, map(list, zip(*rows, strict=True)), strict=True))
