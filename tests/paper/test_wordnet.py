"""The classifiers of glosses: what is read and drawn, the losses against their formulas, the scores."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn.functional import cross_entropy

import fastemd as fe
from benchmarks.paper import runs
from benchmarks.paper.wordnet import data, experiment, losses
from benchmarks.paper.wordnet import training as wordnet_training
from fastemd.data import table
from tests.support.paper_glosses import class_trees, line, parents, path_up, write_database
from tests.support.tolerance import tolerance


@pytest.fixture(scope="module")
def database(tmp_path_factory):
    return write_database(tmp_path_factory.mktemp("wordnet") / "data.noun")


# --- Data -------------------------------------------------------------------------------------------------------------


def test_nouns_are_read_with_all_lemmas_and_without_examples_and_licence(database):
    nouns = data.nouns(database)
    assert nouns.keys() == set(table("wordnet_noun_tree")["wnid"])
    assert nouns["n00001740"].lemmas == ("entity", "second Lemma")
    assert "example" not in nouns["n00001740"].gloss and not nouns["n00001740"].gloss.endswith(";")


def test_a_missing_file_is_named_with_how_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no-such.*apt-get install wordnet-base.*--data FILE"):
        data.nouns(tmp_path / "no-such")


def test_a_file_of_another_version_is_an_error(tmp_path):
    path = tmp_path / "data.noun"
    path.write_text(line("n00001740", ["entity"], "what is") + "\n", encoding="utf-8")
    with pytest.raises(ValueError, match=r"lacks 82114 synsets of WordNet 3\.0"):
        data.nouns(path)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Families of GRASSES; a box's boxes", ["family", "of", "grass", "a", "box", "s", "box"]),
        ("the bus, its class; churches & bushes", ["the", "bus", "its", "class", "church", "bush"]),
        ("a naïve 19th-century under_score", ["a", "naïve", "19th", "century", "under", "score"]),
    ],
)
def test_words_are_small_and_singular(text, found):
    assert data.words(text) == found


@given(parents(), st.integers(1, 5))
def test_a_cut_holds_the_lowest_nodes_with_enough_below_them(parent, least):
    below = np.zeros(len(parent), int)
    for v in range(len(parent)):
        below[path_up(parent, v)[1:]] += 1
    found = set(data.cut(parent, least))
    for v in range(len(parent)):
        children = np.flatnonzero(parent == v)
        assert (v in found) == (below[v] >= least and not any(below[children] >= least))


def test_a_class_has_the_glosses_below_it_and_its_own_place_in_the_tree(database):
    made, columns = data.task(database, at_most=6), table("wordnet_noun_tree")
    row = {wnid: v for v, wnid in enumerate(columns["wnid"])}
    parent = np.array([row.get(wnid, -1) for wnid in columns["parent"]])
    classes = data.cut(parent, 40)[:6]
    assert made.tree.bin_labels == tuple(columns["name"][v] for v in classes)
    below = np.zeros(len(parent), int)
    for v in range(len(parent)):
        below[path_up(parent, v)[1:]] += 1
    for i, v in enumerate(classes):
        assert len(made.members[i]) == below[v] >= 40
        for j, u in enumerate(classes):
            apart = set(path_up(parent, u)) ^ set(path_up(parent, v))
            assert made.tree.cost_matrix()[i, j] == len(apart)
    assert sorted(np.concatenate(made.members)) == list(range(len(made.glosses)))


def test_the_names_of_all_classes_are_masked_in_every_gloss(database, monkeypatch):
    own = data.nouns(database)
    names = data.task(database, at_most=6).masked
    assert {"second", "lemma"} <= names
    said = {wnid: noun._replace(gloss=f"the {' '.join(sorted(names))} of gneiss") for wnid, noun in own.items()}
    monkeypatch.setattr(data, "nouns", lambda path: said)
    made = data.task(database, at_most=6)
    assert all(gloss == ["gneiss"] for gloss in made.glosses)


def test_the_share_of_glosses_that_name_their_class_is_counted_before_masking(database, monkeypatch):
    own = data.nouns(database)
    assert data.task(database, at_most=3).named == 0
    said = {wnid: noun._replace(gloss="any Second lemmas at all") for wnid, noun in own.items()}
    monkeypatch.setattr(data, "nouns", lambda path: said)
    assert data.task(database, at_most=3).named == 1


@given(st.lists(st.integers(6, 12), min_size=1, max_size=5), st.integers(0, 99))
def test_drawn_parts_share_no_gloss_and_keep_to_their_classes(counts, seed):
    ends = np.cumsum(counts)
    members = [np.arange(end - count, end) for end, count in zip(ends, counts, strict=True)]
    parts = data.drawn(members, (2, 1, 3), np.random.default_rng(seed))
    assert [part.shape for part in parts] == [(len(counts), k) for k in (2, 1, 3)]
    for row, glosses in zip(np.concatenate(parts, axis=1), members, strict=True):
        assert len(set(row)) == 6 and set(row) <= set(glosses)


def test_too_few_glosses_are_an_error():
    with pytest.raises(ValueError, match=r"A class has 3 glosses\. Needed: 4, for parts of 2, 2"):
        data.drawn([np.arange(9), np.arange(3)], (2, 2), np.random.default_rng(0))


def test_features_know_the_words_of_the_training_part_only():
    glosses = [["a", "b"], ["a", "c", "c"], ["d"], ["b", "d"]]
    train, other = data.features(glosses, np.array([[0], [1]]), np.array([[2, 3]]))
    assert train.shape == other.shape == (2, 3)
    norms = np.sqrt(np.concatenate([train.toarray(), other.toarray()]) ** 2 @ np.ones(3))
    assert np.all(abs(norms - [1, 1, 0, 1]) <= tolerance(np.float32, 3, 1, 1))
    assert other.toarray()[1].tolist() == [0, 1, 0]


# --- Losses -----------------------------------------------------------------------------------------------------------


def drawn_rows(tree, seed, rows=4):
    rng = np.random.default_rng(seed)
    return torch.tensor(rng.normal(size=(rows, tree.n)) * 3), torch.tensor(rng.integers(0, tree.n, rows))


@given(class_trees(), st.sampled_from([0.0, 0.1, 0.5]), st.integers(0, 99))
def test_hierarchical_cross_entropy_is_its_formula(tree, alpha, seed):
    z, y = drawn_rows(tree, seed)
    p, costs, weights = z.softmax(-1).numpy(), [], []
    under = {v: [i for i, b in enumerate(tree.bins) if v in path_up(tree.parent, b)] for v in range(tree.n_nodes)}
    for v in tree.bins:
        weights.append(np.exp(-alpha * (len(path_up(tree.parent, v)) - 1)))
    for row, c in zip(p, y.numpy(), strict=True):
        path, cost = path_up(tree.parent, tree.bins[c]), 0.0
        for k in range(len(path) - 1):
            quotient = row[under[path[k]]].sum() / row[under[path[k + 1]]].sum()
            cost -= np.exp(-alpha * (len(path) - 1 - k)) * np.log(quotient)
        costs.append(cost)
    expected = np.mean(costs) / np.mean(weights)
    found = losses.HierarchicalCrossEntropy(tree, alpha)(z.float(), y).item()
    scale = 1 + abs(z).max().item() * tree.n_nodes / np.min(weights)
    assert abs(found - expected) <= tolerance(np.float32, tree.n_nodes, 1, scale)


@given(class_trees(), st.integers(0, 99))
def test_hierarchical_cross_entropy_without_a_discount_is_cross_entropy(tree, seed):
    z, y = drawn_rows(tree, seed)
    found = losses.HierarchicalCrossEntropy(tree, 0.0)(z.float(), y)
    allowed = tolerance(np.float32, tree.n, 1, 1 + abs(z).max().item())
    assert abs(found.item() - cross_entropy(z, y).item()) <= allowed


def test_hierarchical_cross_entropy_stays_finite_where_a_branch_has_no_probability_left():
    tree = fe.Tree.from_paths(["a/b", "a/c", "d/e", "d/f"])
    z = torch.tensor([[0.0, 0.0, 300.0, 300.0]], requires_grad=True)
    loss = losses.HierarchicalCrossEntropy(tree, 0.1)(z, torch.tensor([0]))
    loss.backward()
    assert torch.isfinite(loss) and torch.isfinite(z.grad).all() and z.grad[0, 0] < 0


@given(class_trees(), st.integers(0, 99))
def test_losses_are_the_formulas_of_their_names(tree, seed):
    z, y = drawn_rows(tree, seed)
    p, target = z.softmax(-1).numpy(), np.eye(tree.n)[y]
    ce = cross_entropy(z, y).item()
    emd = {rho: float(fe.reference.emd(p, target, tree, rho=rho).mean()) for rho in (1, 2)}
    w = 0.3
    expected = {
        "cross entropy": ce,
        "label smoothing": (1 - w) * ce - w * z.log_softmax(-1).mean().item(),
        "EMD, ρ = 1": emd[1],
        "EMD, ρ = 2": emd[2],
        "cross entropy + EMD, ρ = 1": ce + w * emd[1],
        "cross entropy + EMD, ρ = 2": ce + w * emd[2],
    }
    others = [method for method in losses.METHODS if method.name != "hierarchical cross entropy"]
    made = {method.name: method.make(tree, w)(z, y).item() for method in others}
    assert made.keys() == expected.keys()
    allowed = tolerance(np.float64, tree.n_nodes, 1, tree.lengths.sum() + abs(z).max().item())
    for name, value in expected.items():
        assert abs(made[name] - value) <= allowed, name


@pytest.mark.parametrize("sizes", [experiment.FULL, experiment.QUICK])
def test_every_loss_has_the_same_number_of_settings_and_rates_in_common(sizes):
    tried = [experiment.settings(method, sizes) for method in losses.METHODS]
    assert len({len(settings) for settings in tried}) == 1
    for settings in tried:
        assert len(set(settings)) == len(settings)
    assert set(sizes.rates_with_weights) <= set(sizes.rates)


# --- Training and scores ----------------------------------------------------------------------------------------------


@given(class_trees(), st.integers(0, 99))
def test_scores_are_those_of_a_walk_up_the_tree(tree, seed):
    z, y = drawn_rows(tree, seed, rows=5)
    found, ways, climbs, first = wordnet_training.scores(z, y, tree), [], [], z.argmax(1)
    for guess, truth in zip(first, y, strict=True):
        up, other = (path_up(tree.parent, tree.bins[i]) for i in (truth, guess))
        climbs.append(sum(v not in other for v in up))
        ways.append(climbs[-1] + sum(v not in up for v in other))
    wrong = (first != y).numpy()
    five = np.mean([c in row.topk(min(5, tree.n)).indices for row, c in zip(z, y, strict=True)])
    expected = {
        "top1": 1 - wrong.mean(), "top5": five, "distance": np.mean(ways), "climb": np.mean(climbs),
        "mistake": np.sum(ways) / max(wrong.sum(), 1),
    }  # fmt: skip
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert abs(found[name] - value) <= tolerance(np.float64, 5, 1, tree.n_nodes), name


def separable(rng, classes=4, each=8):
    glosses = [[f"w{c}", f"noise{rng.integers(50)}"] for c in range(classes) for _ in range(each)]
    order = np.arange(classes * each).reshape(classes, each)
    rows = data.features(glosses, order[:, :4], order[:, 4:])
    return [wordnet_training.Part(part, torch.arange(classes).repeat_interleave(4)) for part in rows]


@pytest.mark.parametrize("method", losses.METHODS, ids=lambda method: method.name)
def test_a_net_learns_what_can_be_learned_under_every_loss(method):
    tree = fe.Tree.from_paths(["a/b", "a/c", "d/e", "d/f"])
    part, other = separable(runs.seeded(0))
    training = wordnet_training.Training(hidden=16, batch=4, epochs=40)
    net = wordnet_training.Net(part.rows.shape[1], 4, training)
    wordnet_training.trained(net, method.make(tree, method.weights[0]), part, 0.02, 40, training)
    assert wordnet_training.scores(net.answers(other.rows), other.classes, tree)["top1"] == 1


def test_tuning_stops_when_the_validation_part_is_no_longer_better_known():
    part, other = separable(runs.seeded(0))
    training = wordnet_training.Training(hidden=16, batch=4, epochs=500, patience=3)
    net, seen = wordnet_training.Net(part.rows.shape[1], 4, training), []
    answers = net.answers
    net.answers = lambda rows: seen.append(answers(rows)) or seen[-1]
    found = wordnet_training.tuned(net, cross_entropy, part, other, 0.02, training)
    accuracy = [(logits.argmax(1) == other.classes).double().mean().item() for logits in seen]
    assert found == (max(accuracy), accuracy.index(max(accuracy)) + 1)
    assert len(seen) == found.epochs + 3


def test_training_from_a_seed_gives_the_same_net_again():
    nets = []
    for _ in range(2):
        part, _ = separable(runs.seeded(3))
        training = wordnet_training.Training(hidden=8, batch=4)
        nets.append(wordnet_training.Net(part.rows.shape[1], 4, training))
        wordnet_training.trained(nets[-1], cross_entropy, part, 0.02, 3, training)
    for one, other in zip(*(net.parameters() for net in nets), strict=True):
        assert torch.equal(one, other)
