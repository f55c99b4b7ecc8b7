"""The transformer of scikit-learn: distances of its vectors, scikit-learn's own checks, and what it is used with."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.cluster import DBSCAN, HDBSCAN, AgglomerativeClustering
from sklearn.metrics import adjusted_rand_score
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import fastemd as fe
from fastemd.sklearn import EMDEmbedding
from tests.support.tolerance import tolerance

TREE = fe.Tree([-1, 0, 0, 1, 1, 2, 2], [0, 1, 2, 1, 0, 1, 3], bins=[3, 4, 5, 6])
# Checks of scikit-learn that do not apply, with the reason. With mass="equal" every check passes.
EXCUSED = {
    "check_estimators_dtypes": "it rounds numbers to integers, which leaves rows empty: they have no proportions"
}


def excused(estimator):
    """The checks that an estimator is excused from."""
    return EXCUSED if estimator.mass == "normalize" else {}


@parametrize_with_checks(
    [EMDEmbedding(), EMDEmbedding(rho=2), EMDEmbedding(mass="equal")], expected_failed_checks=excused
)
def test_scikit_learns_checks_pass(estimator, check):
    check(estimator)


@pytest.mark.parametrize("space", [fe.Chain(4), fe.Chain(positions=[0, 1, 5, 6]), TREE])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_distance_of_vectors_is_the_emd(space, dtype):
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 6).astype(dtype)
    slack = tolerance(dtype, 4 * space.m, 1.0, space.lengths.sum())
    for rho, metric in ((1, "cityblock"), (2, "sqeuclidean")):
        vectors = EMDEmbedding(space, rho=rho).fit_transform(rows)
        assert vectors.dtype == dtype
        expected = fe.emd(rows[:, None], rows, space, rho=rho, mass="normalize")
        np.testing.assert_allclose(cdist(vectors, vectors, metric), expected, rtol=0, atol=slack)


def test_a_ring_has_vectors_at_rho_2():
    ring = fe.Ring(lengths=[1, 0, 2, 3])
    rows = np.random.default_rng(0).dirichlet(np.ones(4), 6)
    vectors = EMDEmbedding(ring, rho=2).fit_transform(rows)
    slack = tolerance(float, 20, 1.0, 6.0)
    np.testing.assert_allclose(
        cdist(vectors, vectors, "sqeuclidean"), fe.emd(rows[:, None], rows, ring, rho=2), rtol=0, atol=slack
    )


def test_columns_are_named_after_edges_in_a_frame():
    pd = pytest.importorskip("pandas")
    rows = pd.DataFrame(np.eye(4), columns=list("abcd"), index=list("wxyz"))
    frame = EMDEmbedding(TREE).set_output(transform="pandas").fit_transform(rows)
    assert list(frame.columns) == ["edge1", "edge2", "edge3", "edge5", "edge6"]
    assert list(frame.index) == list("wxyz")


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"space": fe.Ring(3)}, "rho is 1 on a Ring"),
        ({"rho": 3}, "rho is 3"),
        ({"mass": "root"}, "mass is 'root'"),
        ({"space": fe.Chain(4)}, "X has 3 columns. Needed: 4"),
    ],
)
def test_bad_options_are_named(options, says):
    with pytest.raises(ValueError, match=says):
        EMDEmbedding(**options).fit(np.eye(3))


def test_empty_row_is_named():
    with pytest.raises(ValueError, match=r"X\[1\] \(row 1\) has mass 0"):
        EMDEmbedding().fit_transform([[1.0, 0.0], [0.0, 0.0]])


# --- With the methods of scikit-learn, UMAP and HDBSCAN ---------------------------------------------------------------


@pytest.fixture(scope="module")
def grey_levels():
    """Histograms of three kinds: one bump each, at three places of a chain of 64 bins, and their kinds."""
    rng = np.random.default_rng(0)
    kinds = np.repeat([0, 1, 2], 20)
    centres = np.array([12, 32, 52])[kinds] + rng.normal(0, 1, 60)
    rows = np.exp(-(((np.arange(64) - centres[:, None]) / 3) ** 2))
    return rows, kinds


def test_neighbours_classify_by_the_emd(grey_levels):
    rows, kinds = grey_levels
    model = make_pipeline(EMDEmbedding(fe.Chain(64)), KNeighborsClassifier(3, metric="manhattan"))
    assert (model.fit(rows[::2], kinds[::2]).predict(rows[1::2]) == kinds[1::2]).all()
    distances, found = model[-1].kneighbors(model[0].transform(rows[:1]))
    expected = fe.emd(rows[:1], rows[::2][found[0]], fe.Chain(64), mass="normalize")
    np.testing.assert_allclose(distances[0], expected, rtol=0, atol=tolerance(float, 640, 1, 63))


@pytest.mark.parametrize(
    "method",
    [
        DBSCAN(eps=4.0, metric="manhattan"),
        AgglomerativeClustering(3, metric="manhattan", linkage="average"),
        HDBSCAN(min_cluster_size=8, metric="manhattan", copy=True),
    ],
    ids=lambda method: type(method).__name__,
)
def test_clusters_are_the_kinds(grey_levels, method):
    rows, kinds = grey_levels
    labels = make_pipeline(EMDEmbedding(fe.Chain(64)), method).fit_predict(rows)
    assert adjusted_rand_score(kinds, labels) > 0.9


@pytest.mark.filterwarnings("ignore")
def test_umap_keeps_kinds_apart(grey_levels):
    umap = pytest.importorskip("umap")
    rows, kinds = grey_levels
    flat = make_pipeline(EMDEmbedding(fe.Chain(64)), umap.UMAP(metric="manhattan", random_state=0)).fit_transform(rows)
    nearest = np.argsort(cdist(flat, flat), axis=1)[:, 1]
    assert np.mean(kinds[nearest] == kinds) > 0.9
