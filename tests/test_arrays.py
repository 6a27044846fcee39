"""The one reader of arrays: what every public function takes, and how it refuses the rest."""

import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from fractions import Fraction
from functools import partial
from typing import Any

import dask.array as da
import igraph
import networkx as nx
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
import torch
from clusim.clustering import Clustering as ClusimClustering
from torch.masked import masked_tensor

import modularity_lib as ml
from modularity_lib.clustering.paper_search import paper_modules

BLOCKS = np.kron(np.eye(2), np.ones((3, 3)))
LABELS = np.repeat([0, 1], 3)
TENSOR = torch.tensor(BLOCKS)
GRAPH = nx.from_numpy_array(BLOCKS - np.eye(6))
NAMES = list("abcdef")
torch_warns = pytest.mark.filterwarnings("ignore:.*")  # that sparse, masked and quantised tensors may change

# Every public function that takes a matrix, with one argument left open.
MATRIX_DOORS: dict[str, Callable[[object], object]] = {
    "similarity of find_modules": partial(ml.find_modules, method="paper", steps=50),
    "similarity of spectral_modules": ml.spectral_modules,
    "similarity of modularity_score": lambda matrix: ml.modularity_score(matrix, LABELS),
    "similarity_a of similarity_spearman": lambda matrix: ml.similarity_spearman(matrix, BLOCKS),
    "similarity_b of similarity_spearman": lambda matrix: ml.similarity_spearman(BLOCKS, matrix),
    "similarity_a of transfer": lambda matrix: ml.transfer(matrix, LABELS, BLOCKS, LABELS),
    "similarity_b of transfer": lambda matrix: ml.transfer(BLOCKS, LABELS, matrix, LABELS),
}
LABEL_DOORS: dict[str, Callable[[object], object]] = {
    "labels of modularity_score": partial(ml.modularity_score, BLOCKS),
    "a of agreement": lambda labels: ml.agreement(labels, LABELS, permutations=9),
    "b of agreement": lambda labels: ml.agreement(LABELS, labels, permutations=9),
    "a of agreement_p_value": lambda labels: ml.agreement_p_value(labels, LABELS, permutations=9),
    "a of element_centric_similarity": lambda labels: ml.element_centric_similarity(labels, LABELS),
    "b of expected_element_centric_similarity": lambda b: ml.expected_element_centric_similarity(LABELS, b),
    "a of greedy_matching_score": lambda labels: ml.greedy_matching_score(labels, LABELS),
    "b of reduced_mutual_information": lambda labels: ml.reduced_mutual_information(LABELS, labels),
    "a of variation_of_information": lambda labels: ml.variation_of_information(labels, LABELS),
    "labels_a of transfer": lambda labels: ml.transfer(BLOCKS, labels, BLOCKS, LABELS),
    "labels_b of transfer": lambda labels: ml.transfer(BLOCKS, LABELS, BLOCKS, labels),
}


def result(door: Callable[[object], object], value: object) -> object:
    found = door(value)
    return (found.labels.tolist(), found.score) if isinstance(found, ml.Clustering) else found


def refused(doors: dict[str, Callable[[object], object]], make: Callable[[], object]) -> set[str]:
    """What every door says, with the name of its own argument left out."""
    said = set()
    for place, door in doors.items():
        with pytest.raises(ValueError, match=f"^{place.split(' of ')[0]} must ") as refusal:
            door(make())
        said.add(str(refusal.value).partition(" must ")[2])
    return said


MATRICES = {
    "lists": lambda: BLOCKS.tolist(),
    "tuples": lambda: tuple(map(tuple, BLOCKS)),
    "table": lambda: pd.DataFrame(BLOCKS, index=NAMES, columns=NAMES),
    "table with other names in its columns": lambda: pd.DataFrame(BLOCKS, columns=NAMES),
    "sparse table": lambda: pd.DataFrame(BLOCKS).astype(pd.SparseDtype(float, 0)),
    "np.matrix": lambda: np.matrix(BLOCKS),
    "bool": lambda: BLOCKS.astype(bool),
    "unsigned": lambda: BLOCKS.astype(np.uint64),
    "half": lambda: BLOCKS.astype(np.float16),
    "long": lambda: BLOCKS.astype(np.longdouble),
    "big-endian": lambda: BLOCKS.astype(">f4"),
    "columns first": lambda: np.asfortranarray(BLOCKS),
    "memory": lambda: memoryview(BLOCKS),
    "no mask": lambda: np.ma.array(BLOCKS),
    "empty mask": lambda: np.ma.array(BLOCKS, mask=np.zeros((6, 6), dtype=bool)),
    "igraph": lambda: igraph.Graph.Adjacency(BLOCKS.astype(int).tolist()).get_adjacency(),
    "dask": lambda: da.from_array(BLOCKS, chunks=2),
    "tensor": lambda: TENSOR,
    "bfloat16": lambda: TENSOR.bfloat16(),
    "8 bits": lambda: TENSOR.to(torch.float8_e4m3fn),
    "with gradient": lambda: TENSOR.clone().requires_grad_(),
    "of a computation": lambda: TENSOR.clone().requires_grad_() * 2,
    "parameter": lambda: torch.nn.Parameter(TENSOR.bfloat16()),
    "bool tensor": lambda: TENSOR.bool(),
    "negative view": lambda: torch.complex(-TENSOR, -TENSOR).conj().imag,
    "COO tensor": lambda: TENSOR.to_sparse(),
    "CSR tensor": lambda: TENSOR.to_sparse_csr(),
    "CSC tensor": lambda: TENSOR.to_sparse_csc(),
    "BSR tensor": lambda: TENSOR.to_sparse_bsr((3, 3)),
    "COO of bfloat16, with gradient": lambda: TENSOR.bfloat16().to_sparse().requires_grad_(),
    "oneDNN tensor": lambda: TENSOR.float().to_mkldnn(),
    "quantised": lambda: torch.quantize_per_tensor(TENSOR.float(), 0.5, 0, torch.quint8),
    "tensor without masked entries": lambda: masked_tensor(TENSOR, TENSOR >= 0),
    "rows with gradient": lambda: [row.clone().requires_grad_() for row in TENSOR],
    "rows of bfloat16": lambda: tuple(row.bfloat16() for row in TENSOR),
    "adjacency of networkx": lambda: sp.csr_array(nx.adjacency_matrix(GRAPH)),
    **{
        f"{form} matrix": partial(getattr(sp, f"{form}_matrix"), BLOCKS) for form in ("coo", "csc", "dia", "dok", "lil")
    },
    **{f"{form} array": partial(getattr(sp, f"{form}_array"), BLOCKS) for form in ("bsr", "csr", "dok")},
}


@torch_warns
@pytest.mark.parametrize("kind", MATRICES)
def test_a_matrix_is_taken_in_whatever_it_comes(kind: str) -> None:
    for door in MATRIX_DOORS.values():
        assert result(door, MATRICES[kind]()) == result(door, BLOCKS)


LABELLINGS = {
    "list": lambda: LABELS.tolist(),
    "numbers of NumPy in a list": lambda: list(LABELS),
    "Clustering": lambda: ml.spectral_modules(BLOCKS),
    "series": lambda: pd.Series(LABELS, index=NAMES),
    "categories": lambda: pd.Series(LABELS, dtype="category"),
    "index": lambda: pd.Index(LABELS),
    "tensor": lambda: torch.tensor(LABELS),
    "tensors in a list": lambda: list(torch.tensor(LABELS)),
    "small": lambda: LABELS.astype(np.int8),
    "big-endian": lambda: LABELS.astype(">u2"),
    "no mask": lambda: np.ma.array(LABELS, mask=False),
    "deque": lambda: deque(LABELS.tolist()),
}


@pytest.mark.parametrize("kind", LABELLINGS)
def test_labels_are_taken_in_whatever_they_come(kind: str) -> None:
    for door in LABEL_DOORS.values():
        assert door(LABELLINGS[kind]()) == door(LABELS)


def test_a_clustering_is_its_labels_for_numpy_too() -> None:
    modules = ml.spectral_modules(BLOCKS)
    assert np.asarray(modules) is modules.labels
    assert np.array(modules, dtype=float).tolist() == LABELS.tolist()


@pytest.mark.parametrize(
    "masked",
    [
        lambda: np.ma.masked_equal(BLOCKS, 0),
        lambda: np.ma.masked_equal(BLOCKS.astype(int), 1),
        lambda: np.ma.array(BLOCKS, mask=np.eye(6)),
        lambda: [np.ma.masked_equal(row, 0) for row in BLOCKS],
        lambda: [[1.0, np.ma.masked], [0.5, 1.0]],
        lambda: masked_tensor(TENSOR, TENSOR > 0),
        lambda: da.ma.masked_equal(da.from_array(BLOCKS), 0),
        lambda: np.ma.array([(1.0, 2)], mask=[(True, False)], dtype=[("weight", float), ("unit", int)]),
    ],
)
@torch_warns
def test_masked_entries_are_refused_and_not_unmasked(masked: Callable[[], object]) -> None:
    [said] = refused(MATRIX_DOORS, masked)
    assert "have no masked entries" in said
    assert "Pass .filled(0) if they stand for no similarity" in said


@pytest.mark.parametrize("masked", [lambda: np.ma.masked_equal(LABELS, 0), lambda: [0, 0, 0, 1, 1, np.ma.masked]])
def test_labels_with_a_mask_are_refused(masked: Callable[[], object]) -> None:
    assert all(".filled(-1) for dead units" in said for said in refused(LABEL_DOORS, masked))


@pytest.mark.parametrize(
    ("make", "came", "way_out"),
    [
        (lambda: {"hidden1": {"input_gradient": BLOCKS}}, "dict", "matrices['hidden1']['input_gradient']"),
        (lambda: OrderedDict(output_gradient=BLOCKS), "OrderedDict", "matrices['output_gradient']"),
        (lambda: {}, "dict", "empty"),
        (lambda: GRAPH, "Graph", "networkx.to_numpy_array(graph)"),
        (lambda: nx.DiGraph(GRAPH), "DiGraph", "networkx.to_numpy_array(graph)"),
        (lambda: igraph.Graph.Full(6), "Graph", "graph.get_adjacency()"),
        (lambda: ml.spectral_modules(BLOCKS), "Clustering, shape (6,)", "labels come after it"),
        (lambda: LABELS, "shape (6,) of int64", "labels come after it"),
        (lambda: pd.DataFrame(BLOCKS).astype("Float64"), "DataFrame, shape (6, 6) of object", ".astype(float)"),
        (lambda: pd.DataFrame(BLOCKS).astype(str), "DataFrame, shape (6, 6) of object", ".astype(float)"),
        (lambda: BLOCKS.astype(str), "shape (6, 6) of <U32", ".astype(float)"),
        (lambda: [[1, None], [None, 1]], "list, shape (2, 2) of object", ".astype(float)"),
        (lambda: TENSOR.to(torch.complex64), "Tensor, shape (6, 6) of complex64", "np.abs(S)"),
        (lambda: np.ones((20, 6)), "shape (20, 6)", "np.corrcoef(activity.T)"),
        (lambda: np.ones((2, 6, 6)), "shape (2, 6, 6)", "matrix of one layer"),
        (lambda: np.zeros((2, 2), dtype=[("a", float)]), "shape (2, 2) of [('a'", "structured_to_unstructured"),
        (lambda: torch.ones(6, 6, device="meta"), "Tensor", "meta device holds no numbers"),
        (lambda: [[1, 2], [3]], "list", "inhomogeneous"),
        (lambda: torch.nn.Linear(2, 2), "Linear, shape ()", "matrix of one layer"),
        (lambda: (row for row in BLOCKS), "generator, shape ()", "matrix of one layer"),
        (lambda: None, "NoneType", "matrix of one layer"),
        (lambda: "blocks", "str", "matrix of one layer"),
    ],
)
def test_what_is_no_matrix_is_refused_with_its_type_and_the_way_out(
    make: Callable[[], object], came: str, way_out: str
) -> None:
    [said] = refused(MATRIX_DOORS, make)
    assert said.startswith(f"be a square array of real numbers with shape (units, units), got {came}")
    assert way_out in said


class OfAnotherLibrary:
    """Its own error is of a type that no reader can know."""

    def __array__(self, dtype: object = None, copy: object = None) -> np.ndarray:
        raise KeyError("the file is closed")


class Estimator:
    labels_ = LABELS


@pytest.mark.parametrize("doors", [MATRIX_DOORS, LABEL_DOORS])
def test_an_error_of_another_library_is_told_and_not_passed_on(doors: dict[str, Callable[[object], object]]) -> None:
    for said in refused(doors, OfAnotherLibrary):
        assert "got OfAnotherLibrary, which does not become a NumPy array: 'the file is closed'" in said


@pytest.mark.parametrize(
    ("make", "came", "way_out"),
    [
        (lambda: np.array(list("aaabbb")), "shape (6,) of <U1", "np.unique(labels, return_inverse=True)[1]"),
        (lambda: list("aaabbb"), "list", "np.unique(labels, return_inverse=True)[1]"),
        (lambda: pd.Series(list("aaabbb"), dtype="category"), "Series", "np.unique(labels, return_inverse=True)[1]"),
        (lambda: pd.Series([0, 0, 0, 1, 1, None], dtype="Int64"), "Series", "Of 6 labels 1 are missing"),
        (lambda: [0, 0, 0, 1, 1, None], "list", "no module the label -1"),
        (lambda: [0, 0, 0, 1, np.nan, np.nan], "list", "Of 6 labels 2 are missing"),
        (lambda: pd.Series([*"aaabb", None]), "Series", "Of 6 labels 1 are missing"),
        (lambda: pd.to_datetime(["2020"] * 5 + [None]), "DatetimeIndex", "Of 6 labels 1 are missing"),
        (lambda: [0, 0, 0, 1, 1, 2**80], "list", "np.unique(labels, return_inverse=True)[1]"),
        (lambda: LABELS + 0.0, "shape (6,) of float64", ".astype(int)"),
        (lambda: LABELS.astype(object), "shape (6,) of object", ".astype(int)"),
        (lambda: torch.tensor(LABELS).bfloat16(), "Tensor", ".long()"),
        (lambda: torch.tensor(LABELS + 0.0, requires_grad=True), "Tensor", ".long()"),
        (lambda: dict(enumerate(LABELS)), "dict", "[modules[unit] for unit in units]"),
        (lambda: GRAPH, "Graph", "not the graph"),
        (lambda: [{0, 1, 2}, {3, 4, 5}], "list", "sets of units"),
        (lambda: [[0, 1], [2, 3, 4, 5]], "list", "sets of units"),
        (lambda: igraph.Graph.Full(6).community_leiden(), "VertexClustering", ".membership"),
        (lambda: ClusimClustering().from_membership_list(LABELS.tolist()), "Clustering", ".to_membership_list()"),
        (Estimator, "Estimator", ".labels_"),
        (lambda: np.eye(2)[LABELS], "shape (6, 2)", ".argmax(axis=1)"),
        (lambda: LABELS[:, None], "shape (6, 1)", "np.ravel(labels)"),
        (lambda: 3, "int, shape ()", "module of each unit"),
    ],
)
def test_what_is_no_labels_is_refused_with_its_type_and_the_way_out(
    make: Callable[[], object], came: str, way_out: str
) -> None:
    for said in refused(LABEL_DOORS, make):
        assert said.startswith("hold ")
        assert f"got {came}" in said
        assert way_out in said


ORDER = [3, 5, 0, 4, 2, 1]
OTHER_LABELS = np.array([0, 1, 1, 2, 2, 2])
# No two pairs of units are alike in these.
UNLIKE = 9 * BLOCKS + np.multiply.outer([1, 2, 3, 5, 8, 13], [1, 2, 3, 5, 8, 13]) / 100
OTHER = 9 * (OTHER_LABELS[:, None] == OTHER_LABELS) + np.add.outer(np.arange(6) ** 2, np.arange(6) ** 2) / 20


def named(values: np.ndarray, names: Sequence[object], order: Sequence[int] = range(6)) -> Any:
    """A table of units by name, in some order."""
    index = [names[place] for place in order]
    if values.ndim == 1:
        return pd.Series(values[list(order)], index=index)
    return pd.DataFrame(values[np.ix_(order, order)], index=index, columns=index)


ORDERED: dict[str, Callable[[Any, Any, Any, Any], object]] = {
    "modularity_score": lambda matrix, labels, _matrix, _labels: ml.modularity_score(matrix, labels),
    "similarity_spearman": lambda matrix_a, _a, matrix_b, _b: ml.similarity_spearman(matrix_a, matrix_b),
    "transfer": ml.transfer,
    "agreement": lambda _a, a, _b, b: ml.agreement(a, b, permutations=9),
    "agreement_p_value": lambda _a, a, _b, b: ml.agreement_p_value(a, b, permutations=9),
    **{
        function.__name__: lambda _a, a, _b, b, function=function: function(a, b)
        for function in (
            ml.element_centric_similarity,
            ml.expected_element_centric_similarity,
            ml.greedy_matching_score,
            ml.reduced_mutual_information,
            ml.variation_of_information,
        )
    },
}


@pytest.mark.parametrize("names", [NAMES, [3, 4, 5, 6, 7, 8], list(range(6)), [("layer", unit) for unit in NAMES]])
@pytest.mark.parametrize("function", ORDERED)
def test_units_that_two_tables_name_in_another_order_are_matched_by_name(
    function: str, names: Sequence[object]
) -> None:
    plain = (UNLIKE, LABELS, OTHER, OTHER_LABELS)
    in_order = [named(values, names) for values in plain]
    right = ORDERED[function](*plain)
    assert ORDERED[function](*in_order) == right
    for changed in range(4):
        given = list(in_order)
        given[changed] = named(plain[changed], names, ORDER)
        if changed in (0, 1):  # the first of a pair gives the order, in which p-values are drawn and sums rounded
            shuffled = [values[np.ix_(ORDER, ORDER)] if values.ndim == 2 else values[ORDER] for values in plain]
            assert ORDERED[function](*given) in (right, ORDERED[function](*shuffled))
        else:
            assert ORDERED[function](*given) == right


def test_columns_in_another_order_than_the_rows_are_brought_into_theirs() -> None:
    table = named(UNLIKE, NAMES)
    right = ml.similarity_spearman(OTHER, UNLIKE)
    for shuffled in (table[NAMES[::-1]], table.loc[NAMES[::-1]], table.sample(frac=1, random_state=0)):
        q = ml.modularity_score(shuffled, named(OTHER_LABELS, NAMES))
        assert q == pytest.approx(ml.modularity_score(UNLIKE, OTHER_LABELS), abs=1e-14)
        assert ml.similarity_spearman(named(OTHER, NAMES), shuffled) == right
    assert ml.find_modules(table[NAMES[::-1]], method="paper", steps=50).labels.tolist() == LABELS.tolist()
    rows_alone = pd.DataFrame(UNLIKE[np.ix_(ORDER, ORDER)], index=[NAMES[place] for place in ORDER])
    assert ml.similarity_spearman(named(OTHER, NAMES), rows_alone) == right


@pytest.mark.parametrize(
    "names",
    [list("ghijkl"), list("abcdeg"), list("abcdee"), [*"abcde", None], [10, 11, 12, 13, 14, 15]],
    ids=str,
)
@pytest.mark.parametrize("function", ORDERED)
def test_different_units_are_refused(function: str, names: Sequence[object]) -> None:
    plain = (UNLIKE, LABELS, OTHER, OTHER_LABELS)
    given = [named(plain[0], NAMES), named(plain[1], NAMES), named(plain[2], names), named(plain[3], names)]
    if function == "modularity_score":
        given[1] = named(plain[1], names)
    with pytest.raises(
        ValueError, match=r"the rows of \w+ and the rows of \w+ must name the same ones, each once, got"
    ):
        ORDERED[function](*given)


def test_rows_and_columns_of_different_units_are_refused() -> None:
    for columns in (list("abcdeg"), list("abcdee"), list("ghijkl")):
        with pytest.raises(ValueError, match="the rows of similarity and the columns of similarity must name the same"):
            ml.find_modules(pd.DataFrame(BLOCKS, index=NAMES, columns=columns))


@pytest.mark.parametrize(
    "door",
    [
        ml.find_modules,
        partial(ml.find_modules, method="paper"),
        ml.spectral_modules,
        ml.consensus_modules,
        ml.modularity_bound,
        partial(ml.modularity_score, labels=[0, 0, 1, 1]),
        partial(ml.similarity_spearman, np.eye(4)),
        partial(ml.test_modules, null="shuffled-pairs"),
    ],
)
def test_units_of_one_name_are_refused(door: Callable[[Any], Any]) -> None:
    names = pd.Index(["x", 1, "y", 1], dtype=object)
    table = pd.DataFrame(np.kron(np.eye(2), np.ones((2, 2))), names, names)
    with pytest.raises(ValueError, match=r"must name each unit once, got 1 for units 1 and 3\. Give them other names"):
        door(table)
    alike = pd.Index([1, True, "1", (1,)], dtype=object, tupleize_cols=False)  # but not the same
    assert ml.find_modules(pd.DataFrame(table.to_numpy(), alike, alike)).names == (1, True, "1", (1,))


def test_units_that_are_left_out_of_one_table_alone_are_not_taken_for_those_of_another() -> None:
    labels, kept = pd.Series(LABELS), np.array([0, 1, 3, 4])
    with pytest.raises(ValueError, match="the rows of a and the rows of b must name the same ones"):
        ml.agreement(labels[kept], pd.Series(LABELS[kept]))
    with pytest.raises(ValueError, match="a and b must label the same units, got 4 and 6"):
        ml.agreement(labels[kept], labels)
    assert ml.agreement(labels[kept], labels[kept][::-1]).element_centric == 1.0


def test_tables_without_names_are_compared_place_by_place() -> None:
    for a, b in ((pd.Series(LABELS, index=NAMES), pd.Series(LABELS)), (LABELS.tolist(), named(LABELS, NAMES[::-1]))):
        assert ml.element_centric_similarity(a, b) == ml.element_centric_similarity(b, a) == 1.0


@torch_warns
def test_a_sparse_matrix_that_memory_cannot_hold_is_refused_before_it_is_tried() -> None:
    one = torch.sparse_coo_tensor(torch.zeros(2, 1, dtype=int), torch.ones(1), (10**6, 10**6))
    for huge in (sp.coo_array((10**6, 10**6)), sp.dok_matrix((10**6, 10**6)), one):
        with pytest.raises(ValueError, match=r"must fit into memory as a dense array, got .* 96,000 GB"):
            ml.find_modules(huge)


def test_what_is_beyond_float64_is_refused_as_infinite() -> None:
    if np.finfo(np.longdouble).max > np.finfo(np.float64).max:
        with pytest.raises(ValueError, match=r"must be finite, got inf .* too large for their precision"):
            ml.find_modules(BLOCKS * np.longdouble("1e400"))


SETTINGS: dict[str, Callable[[object], object]] = {
    "seed": lambda value: ml.find_modules(BLOCKS, seed=value),
    "restarts": lambda value: ml.find_modules(BLOCKS, restarts=value),
    "steps": lambda value: paper_modules(BLOCKS, steps=value),  # type: ignore[arg-type]
    "target_entropy": lambda value: paper_modules(BLOCKS, target_entropy=value),  # type: ignore[arg-type]
    "method": lambda value: ml.find_modules(BLOCKS, method=value),  # type: ignore[arg-type]
    "resolution": lambda value: ml.find_modules(BLOCKS, resolution=value),  # type: ignore[arg-type]
    "signed": lambda value: ml.find_modules(BLOCKS, signed=value),  # type: ignore[arg-type]
    "variant": lambda value: ml.spectral_modules(BLOCKS, variant=value),
    "permutations": lambda value: ml.agreement(LABELS, LABELS, permutations=value),
    "normalized": lambda value: ml.variation_of_information(LABELS, LABELS, normalized=value),
}


@pytest.mark.parametrize(
    "value",
    ["x", "1", None, [1], np.array([1, 2]), torch.tensor(1), 1j, {}, -1, np.nan, np.array(True), b"1", object, [], ...],
    ids=repr,
)
@pytest.mark.parametrize("argument", SETTINGS)
def test_a_setting_of_another_type_or_range_is_refused_by_name(argument: str, value: object) -> None:
    with pytest.raises(ValueError, match=f"^{argument} must be "):
        SETTINGS[argument](value)


def test_settings_of_the_types_of_numpy_are_taken() -> None:
    assert ml.agreement_p_value(LABELS, LABELS, permutations=np.int8(127), seed=np.int64(3)) > 1 / 128
    assert ml.agreement_p_value(LABELS, LABELS, permutations=9, seed=10**30) > 0
    assert (
        ml.find_modules(BLOCKS, seed=np.uint8(3), restarts=np.int8(2), method="paper", steps=np.uint8(50)).restarts == 2
    )
    assert ml.find_modules(BLOCKS, method="paper", target_entropy=Fraction(3, 20)).target_entropy == 0.15  # type: ignore[arg-type]
    assert ml.reduced_mutual_information(LABELS, LABELS, normalized=np.True_) == 1.0  # type: ignore[arg-type]


def test_a_number_beyond_all_floats_is_refused_and_not_printed_in_full() -> None:
    for argument in ("target_entropy", "steps", "restarts", "permutations", "variant", "normalized"):
        for huge in (10**400, 10**5000):
            with pytest.raises(ValueError, match=f"^{argument} must be .*too long to show") as refusal:
                SETTINGS[argument](huge)
            assert len(str(refusal.value)) < 300


@pytest.mark.parametrize("argument", ["steps", "permutations", "restarts"])
def test_a_number_of_repeats_that_would_never_end_is_refused(argument: str) -> None:
    with pytest.raises(
        ValueError, match=rf"{argument} must be a whole number of at most [\d,]+, got 1,000,000,000,000"
    ):
        SETTINGS[argument](10**12)


def test_to_read_arrays_loads_no_other_library() -> None:
    code = (
        "import sys; from modularity_lib.arrays import labels_of, square_of; labels_of('a', [0, 1]);"
        "square_of('S', [[0, 1], [1, 0]]); print({'torch', 'pandas', 'scipy', 'dask', 'numba'} & set(sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "set()\n"
