"""The training script: folders, the tree over them, pictures, the net, and the whole on made-up pictures."""

import json
import math
from argparse import Namespace

import numpy as np
import pytest
import torch
from PIL import Image

import fastemd as fe
from benchmarks.paper import __main__ as command
from benchmarks.paper.imagenet import data, experiment
from benchmarks.paper.imagenet.net import resnet18
from tests.support.tolerance import tolerance

NAMES = ["n01440764", "n02085620", "n02086240", "n02123045"]  # a fish, two dogs, a cat
COLOURS = [(200, 30, 30), (30, 200, 30), (30, 30, 200), (200, 200, 30)]


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for part, count in (("train", 7), ("val", 2)):
        for name, colour in zip(NAMES, COLOURS, strict=True):
            (tmp_path / "data" / part / name).mkdir(parents=True)
            for k in range(count):
                noise = rng.integers(-25, 26, size=(40, 50, 3))
                picture = Image.fromarray((np.array(colour) + noise).clip(0, 255).astype(np.uint8))
                picture.save(tmp_path / "data" / part / name / f"{k}.JPEG")
    return tmp_path / "data"


# --- Folders ----------------------------------------------------------------------------------------------------------


def test_classes_are_the_sorted_names_of_the_folders(folder):
    assert data.class_names(folder) == NAMES


def test_folders_that_do_not_fit_are_named(folder, tmp_path):
    with pytest.raises(ValueError, match=r"has 0 folders in train\. Needed: two or more"):
        data.class_names(tmp_path / "nothing")
    (folder / "val" / "n02099601").mkdir()
    with pytest.raises(ValueError, match="differ in n02099601"):
        data.class_names(folder)
    with pytest.raises(ValueError, match="has no picture"):
        data.pictures(folder / "val", [*NAMES, "n02099601"])


def test_tree_is_wordnets_over_the_folders(folder):
    tree = data.tree_of(NAMES)
    assert [tree.labels[v] for v in tree.bins] == NAMES
    whole, at = fe.Tree.imagenet(), [0, 151, 155, 281]  # their numbers among the 1,000
    np.testing.assert_array_equal(tree.cost_matrix(), whole.cost_matrix()[np.ix_(at, at)])
    assert tree.cost_matrix()[1, 2] < tree.cost_matrix()[1, 3] < tree.cost_matrix()[1, 0]


def test_classes_beyond_the_thousand_come_from_the_larger_tree_and_others_are_refused():
    dog = "n02084071"  # an inner node, which is no class among the 1,000 but a node of their tree
    assert data.tree_of([dog, "n02085620"]).n == 2
    beyond = "n00005787"
    tree = data.tree_of([beyond, "n02085620"])
    assert tree.n_nodes == fe.Tree.imagenet("21k").n_nodes
    with pytest.raises(ValueError, match="the folder dogs is no WordNet id"):
        data.tree_of(["dogs", "n02085620"])


def test_draws_hold_as_many_of_each_class_and_share_none(folder):
    found = data.pictures(folder / "train", NAMES)
    train, validation = data.drawn(found, (4, 2), seed=3)
    assert np.bincount(train.classes).tolist() == [4] * 4
    assert np.bincount(validation.classes).tolist() == [2] * 4
    assert not set(train.paths) & set(validation.paths)
    assert all(path.parent.name == NAMES[k] for path, k in zip(train.paths, train.classes, strict=True))
    assert data.drawn(found, (4, 2), seed=3) == (train, validation)
    assert data.drawn(found, (4, 2), seed=4) != (train, validation)
    with pytest.raises(ValueError, match=r"has 7 pictures\. Needed: 50 for training and 10 for validation"):
        data.drawn(found, (50, 10), seed=0)


@pytest.mark.parametrize("training", [True, False])
def test_pictures_are_scaled_as_imagenets(folder, training):
    files = data.Files([folder / "val" / NAMES[0] / "0.JPEG"], [2])
    x, y = data.Pictures(files, 16, training=training)[0]
    assert (x.shape, x.dtype, y) == ((3, 16, 16), torch.float32, 2)
    colour = [(c / 255 - m) / s for c, m, s in zip(COLOURS[0], data.MEAN, data.SD, strict=True)]
    np.testing.assert_allclose(x.mean(dim=(1, 2)), colour, atol=0.2)  # the noise of the pictures


def test_the_middle_is_what_is_judged(tmp_path):
    plain = np.zeros((70, 140, 3), np.uint8)
    plain[5:65, 40:100] = 255
    Image.fromarray(plain).save(tmp_path / "one.png")
    x, _ = data.Pictures(data.Files([tmp_path / "one.png"], [0]), 8, training=False)[0]
    white = (1 - torch.tensor(data.MEAN)) / torch.tensor(data.SD)
    np.testing.assert_allclose(x[:, 1:-1, 1:-1], white[:, None, None].expand(3, 6, 6), rtol=1e-6)


# --- Net and losses ---------------------------------------------------------------------------------------------------


def test_net_has_the_weights_of_resnet18():
    assert sum(w.numel() for w in resnet18(1000).parameters()) == 11_689_512
    assert resnet18(7, width=4)(torch.zeros(2, 3, 64, 64)).shape == (2, 7)


@pytest.mark.parametrize("name", experiment.METHODS)
def test_every_loss_has_the_size_of_cross_entropy_for_an_even_prediction(name):
    tree = data.tree_of(NAMES)
    method = experiment.METHODS[name]
    loss = method.loss(tree, 1.0)(torch.zeros(4, 4), torch.arange(4)).item()
    parts = method.entropy + (method.rho is not None)
    assert abs(loss - parts * math.log(4)) <= tolerance(np.float32, tree.n_nodes, 1, parts)


def test_every_loss_tries_as_many_settings():
    tries = {
        name: experiment.settings(one, [1.0, 2.0, 3.0, 4.0], [0.5, 1.0]) for name, one in experiment.METHODS.items()
    }
    assert {len(one) for one in tries.values()} == {4}
    assert tries["cross entropy + rho 2"] == [(1.0, 0.5), (1.0, 1.0), (3.0, 0.5), (3.0, 1.0)]


def test_answers_are_judged_by_their_place_and_their_distance(folder):
    options = Namespace(data=folder, size=16, batch=3, workers=0, width=2)
    trainer = experiment.Trainer(options)

    class Constant(torch.nn.Module):
        def forward(self, x):
            return torch.tensor([0.0, 3.0, 2.0, 1.0]).expand(len(x), 4)

    found = trainer.scored(Constant(), trainer.test)
    assert found == {"top1": 0.25, "top5": 1.0, "distance": trainer.tree.cost_matrix()[1].mean()}


# --- The whole --------------------------------------------------------------------------------------------------------


def words(folder, results):
    sizes = {"per-class": 4, "validation": 2, "epochs": 3, "batch": 8, "size": 32, "width": 4, "workers": 0, "seeds": 2}
    given = [word for name, value in sizes.items() for word in (f"--{name}", str(value))]
    return ["imagenet", "--data", str(folder), "--results", str(results), "--rates", "0.01", "0.02", *given]


def test_script_trains_from_end_to_end_and_goes_on_where_it_was(folder, tmp_path, monkeypatch):
    results = tmp_path / "results"
    command.main(words(folder, results))
    first = json.loads((results / "paper-imagenet.json").read_text())
    assert len(first["records"]) == 2 * len(experiment.METHODS)
    assert len(first["tuned"]) == 2 * len(experiment.METHODS)
    assert all(math.isfinite(x) for one in first["records"] for x in (*one["loss"], one["distance"]))
    assert "ResNet-18 of width 4" in (results / "paper-imagenet.md").read_text()
    assert (results / "paper-imagenet.png").stat().st_size > 5_000

    monkeypatch.setattr(experiment.Trainer, "trained", None)  # nothing is trained again
    command.main(words(folder, results))
    assert json.loads((results / "paper-imagenet.json").read_text())["records"] == first["records"]


def test_a_net_learns_the_made_up_pictures(folder):
    options = Namespace(data=folder, size=64, batch=8, workers=0, width=8, epochs=20, per_class=4, validation=2)
    trainer = experiment.Trainer(options)
    found = trainer.outcome("EMD rho 2", 0.01, None, 1, tuning=False)
    assert found["loss"][-1] < found["loss"][0]
    assert found["top1"] > 0.5  # of four classes
