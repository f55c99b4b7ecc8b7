"""`fastemd pairwise` and `fastemd nearest`: from files to files, resumed, and one line for an error."""

import shlex
from pathlib import Path

import numpy as np
import pandas
import pytest
import skbio

import fastemd as fe
from fastemd import cli
from fastemd.pairs import api as pairs
from fastemd.pairs import tiles
from tests.support.tolerance import tolerance

STUDY = Path(skbio.__file__).parent / "diversity/beta/tests/data/qiime-191-tt"


def run(command):
    return cli.app(shlex.split(str(command)))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def rows(folder):
    found = np.random.default_rng(0).dirichlet(np.ones(6), 300).astype(np.float32)
    np.save("rows.npy", found)
    return found


@pytest.mark.parametrize(
    ("method", "published"),
    [
        ("weighted", "weighted_unifrac_dm.txt"),
        ("weighted_normalized", "weighted_normalized_unifrac_dm.txt"),
        ("unweighted", "unweighted_unifrac_dm.txt"),
    ],
)
def test_a_study_gives_the_matrix_that_is_published(method, published, folder):
    assert run(f"pairwise {STUDY}/otu-table.tsv {STUDY}/tree.nwk -o found.tsv --method {method}") == 0
    found = skbio.DistanceMatrix.read("found.tsv")
    expected = skbio.DistanceMatrix.read(str(STUDY / published)).filter(found.ids)
    # They are published with twelve digits.
    np.testing.assert_allclose(found.data, expected.data, atol=1e-11, rtol=0)


def test_unifrac_is_the_default_on_newick_and_emd_elsewhere(folder, capsys):
    table = f"pairwise {STUDY}/otu-table.tsv"
    assert run(f"{table} {STUDY}/tree.nwk -o one.npy") == run(f"{table} chain -o two.npy --mass normalize") == 0
    assert [line.count("(weighted)") for line in capsys.readouterr().out.splitlines()] == [1, 0]


def test_alpha_goes_with_generalized(folder):
    command = f"pairwise {STUDY}/otu-table.tsv {STUDY}/tree.nwk -o found.npy --method generalized --alpha 0.5"
    assert run(command) == 0
    frame = pandas.read_csv(STUDY / "otu-table.tsv", sep="\t", skiprows=1, index_col=0, dtype={"#OTU ID": str}).T
    expected = fe.unifrac(frame, STUDY / "tree.nwk", method="generalized", alpha=0.5)
    np.testing.assert_array_equal(np.load("found.npy"), expected.to_numpy())
    assert Path("found.names.txt").read_text().split() == list(expected.index)


@pytest.mark.parametrize("space", ["chain", "ring"])
def test_rows_of_npy_give_the_distances_of_pairwise(space, rows):
    assert run(f"pairwise rows.npy {space} -o found.npy --rho 2 --threads {fe.get_num_threads()}") == 0
    there = (fe.Chain if space == "chain" else fe.Ring)(6)
    found = np.load("found.npy")
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, fe.pairwise(rows, space=there, rho=2))


def test_a_table_of_edges_is_a_tree_whose_bins_have_names(rows):
    Path("edges.csv").write_text("parent,child,length\nroot,left,2\nleft,a,1\nleft,b,1\nroot,c,3\n")
    frame = pandas.DataFrame(rows[:5, :3] / rows[:5, :3].sum(1, keepdims=True), columns=["c", "left", "b"])
    frame.to_csv("rows.csv")
    assert run("pairwise rows.csv edges.csv -o found.npy --mass normalize") == 0
    edges = pandas.read_csv("edges.csv")
    tree = fe.Tree.from_edges(edges, bins=["c", "left", "b"])
    expected = fe.pairwise(frame.to_numpy(), space=tree, mass="normalize")
    limit = tolerance(np.float32, tree.n, 1.0, tree.lengths.sum())
    np.testing.assert_allclose(np.load("found.npy"), expected, atol=limit, rtol=0)


def test_half_of_the_pairs_are_a_line_each(rows):
    assert run("pairwise rows.npy chain -o found.tsv --condensed --dtype float64") == 0
    found = pandas.read_csv("found.tsv", sep="\t")
    expected = fe.pairwise(rows, space=fe.Chain(6), condensed=True, dtype=np.float64)
    np.testing.assert_array_equal(found["distance"], expected)
    i, j = np.triu_indices(300, 1)
    np.testing.assert_array_equal(found[["first", "second"]], np.stack([i, j], 1))


@pytest.mark.parametrize("end", ["npy", "tsv", "zarr"])
def test_an_interrupted_run_goes_on_and_nothing_half_done_has_the_name(end, rows, monkeypatch, capsys):
    command = f"pairwise rows.npy chain -o found.{end} --memory-limit 1M"
    tile, count = tiles.DenseTiles.tile, 0

    def stops(self, i, j):
        nonlocal count
        count += 1
        if count == 20:
            raise KeyboardInterrupt
        return tile(self, i, j)

    with monkeypatch.context() as patch:
        patch.setattr("fastemd.pairs.matrix.DIAGONAL", 10**6)
        patch.setattr("fastemd.pairs.matrix.GRAIN", 16)
        patch.setattr(tiles, "GRAIN", 16)
        patch.setattr(tiles.DenseTiles, "tile", stops)
        assert run(command) == 130
    assert "the same command goes on" in capsys.readouterr().err
    assert not Path(f"found.{end}").exists()
    begun = count
    with monkeypatch.context() as patch:
        patch.setattr(tiles.DenseTiles, "tile", stops)
        assert run(f"{command} --rho 2") == 2
        assert "other options" in capsys.readouterr().err
        assert run(command) == 0
    assert 0 < count - begun < 20 * 21 // 2 - 15  # of 190 tiles those that a record has are not computed again
    assert [path.name for path in Path().iterdir() if "found" in path.name] == [f"found.{end}"]
    expected = fe.pairwise(rows, space=fe.Chain(6))
    if end == "tsv":
        found = pandas.read_csv("found.tsv", sep="\t", index_col=0).to_numpy(np.float32)
    else:
        import zarr

        found = np.load("found.npy") if end == "npy" else zarr.open_array("found.zarr")[:]
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("end", ["npy", "tsv", "zarr"])
def test_neighbours_are_those_of_nearest(end, rows):
    np.save("queries.npy", rows[:7])
    assert run(f"nearest rows.npy ring -o near.{end} -k 3 --queries queries.npy") == 0
    distances, indices = fe.nearest(rows[:7], rows, space=fe.Ring(6), k=3)
    if end == "tsv":
        table = pandas.read_csv("near.tsv", sep="\t")
        np.testing.assert_array_equal(table["neighbour"].to_numpy().reshape(7, 3), indices)
        np.testing.assert_array_equal(table["distance"].to_numpy(np.float32).reshape(7, 3), distances)
        assert list(table["rank"]) == [1, 2, 3] * 7
        return
    if end == "npy":
        found = np.load("near.distances.npy"), np.load("near.indices.npy")
    else:
        import zarr

        group = zarr.open_group("near.zarr")
        found = group["distances"][:], group["indices"][:]
    np.testing.assert_array_equal(found[0], distances)
    np.testing.assert_array_equal(found[1], indices)


def test_interrupted_neighbours_are_resumed_and_those_of_other_rows_refused(rows, monkeypatch, capsys):
    monkeypatch.setattr(cli.output, "QUERIES", 100)
    nearest, asked = pairs.nearest, []

    def interrupted(queries, *arguments, **options):
        if len(asked) == 2:
            raise KeyboardInterrupt
        asked.append(len(queries))
        return nearest(queries, *arguments, **options)

    monkeypatch.setattr(pairs, "nearest", interrupted)
    assert run("nearest rows.npy chain -o near.npy -k 3") == 130
    assert not Path("near.npy").exists()
    asked.append(0)  # from here on nothing is interrupted
    capsys.readouterr()
    assert run("nearest rows.npy chain -o near.npy -k 4") == 2
    assert "is a part of other neighbours" in capsys.readouterr().err
    assert run("nearest rows.npy chain -o near.npy -k 3") == 0
    assert asked == [100, 100, 0, 100]
    distances, indices = fe.nearest(rows, rows, space=fe.Chain(6), k=3)
    # Each part takes off flows that its own rows have in common, so the last bit may differ.
    slack = tolerance(np.float32, 6, 1.0, 5.0)
    np.testing.assert_allclose(np.load("near.distances.npy"), distances, rtol=0, atol=slack)
    np.testing.assert_array_equal(np.load("near.indices.npy"), indices)
    assert not Path("near.npy.part").exists()


def test_a_study_has_neighbours_by_name(folder):
    assert run(f"nearest {STUDY}/otu-table.tsv {STUDY}/tree.nwk -o near.tsv -k 2") == 0
    table = pandas.read_csv("near.tsv", sep="\t")
    assert set(table["neighbour"]) <= set(table["query"])
    assert (table[table["rank"] == 1]["distance"] == 0).all()


@pytest.mark.parametrize(
    ("command", "text"),
    [
        ("", "the following arguments are required: command"),
        ("fly", "invalid choice: 'fly'"),
        ("info --fast", "unrecognized arguments: --fast"),
        ("pairwise rows.npy chain", "the following arguments are required: -o/--out"),
        ("pairwise rows.npy chain -o found.npy --memory-limit much", "'much' is no size. Needed: a number of bytes"),
    ],
)
def test_a_wrong_command_is_one_line_and_exit_code_2(command, text, rows, capsys):
    with pytest.raises(SystemExit) as exit_:
        run(command)
    error = capsys.readouterr().err
    assert exit_.value.code == 2
    assert text in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("command", "text"),
    [
        (
            "pairwise rows.npy chain -o found.mat",
            "-o found.mat has an unknown ending. Needed: one of .npy, .zarr, .tsv",
        ),
        ("pairwise rows.npy chain -o no/found.npy", "There is no folder 'no'"),
        ("pairwise rows.npy chain -o rows.npy", "rows.npy exists. Needed: another file, or --overwrite."),
        ("pairwise nope.npy chain -o found.npy", "No such file or directory: 'nope.npy'"),
        ("pairwise rows.npy nope.nwk -o found.npy", "There is no file 'nope.nwk'. Needed: the path of a tree, or one"),
        ("pairwise rows.npy imagenet-1k -o found.npy", "rows.npy has 6 columns, and <Tree of 1000 bins"),
        ("pairwise rows.npy chain -o found.npy --method weighted", "has no names of columns. Needed: --taxa FILE"),
        ("pairwise rows.npy chain -o found.npy --alpha 0.5", "--alpha is given, and --method is emd."),
        ("pairwise rows.npy chain -o found.npy --memory-limit 10", "Needed: --memory-limit "),
        ("pairwise rows.npy chain -o found.npy --rho 0.5", "rho"),
        ("pairwise rows.npy chain -o found.npy --threads 0", "0"),
        ("nearest rows.npy chain -o found.npy -k 301", "k is 301, and B has 300 rows. Needed: from 1 to 300."),
        ("pairwise uneven.npy chain -o found.npy", "--mass normalize divides each row by its mass, --mass root"),
        ("pairwise bad.csv chain -o found.npy", "Column 'b' of bad.csv holds 'x'. Needed: numbers"),
        ("pairwise bare.csv chain -o found.npy", "--no-header if it is a row of data."),
        ("pairwise rows.npy chain -o found.npy --taxa three.txt", "--taxa three.txt has 3 lines. Needed: 6"),
        ("pairwise rows.npy chain -o found.npy --device cuda", "or --device cpu"),
        ("pairwise rows.npy chain -o found.npy --device abacus", "--device abacus"),
    ],
)
def test_an_error_is_one_line_exit_code_2_and_no_file(command, text, rows, capsys):
    np.save("uneven.npy", np.array([[1.0, 1.0], [1.0, 0.0]]))
    Path("bad.csv").write_text("name,a,b\none,1,2\ntwo,3,x\n")
    Path("bare.csv").write_text("1,2,3\n4,5,6\n")
    Path("three.txt").write_text("a\nb\nc\n")
    assert run(command) == 2
    error = capsys.readouterr().err
    assert text in error
    assert error.startswith("fastemd ")
    assert error.count("\n") == 1
    assert not [path for path in Path().iterdir() if path.name.startswith("found.") and ".part." not in path.name]
