"""A network small enough to follow by hand: two pixels, three hidden units, two logits, three images, small weights."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from modularity_lib.book.words.prose import listed, markdown
from modularity_lib.similarity.closed_form import (
    ForwardPass,
    forward_pass,
    input_gradient_sums,
    loss_hessian_sums,
    output_gradient_sums,
)
from modularity_lib.similarity.derivatives import input_jacobian, loss_hessian, output_jacobian
from modularity_lib.similarity.measures import similarity_matrices
from modularity_lib.training.networks import Parameters, network_of
from modularity_lib.vocabulary import FAMILY, MEASURE_LABELS

IMAGES = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0]])
IMAGE_NAMES = ("A", "B", "C")
# Chosen so that no pre-activation is 0, where a ReLU has no derivative; that both logits are equal on every image, so
# that the softmax is 1/2 and needs no calculator; and that upstream and downstream differ on the closest two units.
PARAMETERS = Parameters(
    weights=(np.array([[-2.0, 2.0], [0.0, 2.0], [1.0, 1.0]]), np.array([[0.0, -2.0, 1.0], [-1.0, 1.0, -1.0]])),
    biases=(np.array([1.0, -1.0, 0.0]), np.array([0.0, 2.0])),
)
_LARGEST_DENOMINATOR = 1000  # a number that is no fraction with a smaller denominator is shown as a decimal


@dataclass(frozen=True, eq=False)
class WorkedExample:
    """Every number on the way from the images to the similarity of the three units.

    Per image, from automatic differentiation; averages, with their signs, from the closed forms; and the measures.
    """

    pre_activities: np.ndarray  # (images, units)
    passed: ForwardPass
    probabilities: np.ndarray  # (images, logits), softmax of the logits
    input_jacobians: np.ndarray  # (images, units, pixels)
    output_jacobians: np.ndarray  # (images, logits, units)
    hessians: np.ndarray  # (images, units, units)
    averages: dict[str, np.ndarray]  # {quantity: signed (units, units)}
    measures: dict[str, np.ndarray]  # {measure: (units, units)}, the eight of `vocabulary.MEASURES`

    @property
    def activity(self) -> np.ndarray:
        """Activity of every unit on every image, shape (images, units)."""
        return self.passed.activities[0]

    @property
    def deviations(self) -> np.ndarray:
        """Activity minus its mean over the images, shape (images, units)."""
        return np.asarray(self.activity - self.activity.mean(axis=0))


def worked_example() -> WorkedExample:
    """Compute the example with the functions that measure every other network of the book.

    >>> worked_example().activity.tolist()
    [[0.0, 0.0, 1.0], [3.0, 1.0, 1.0], [1.0, 1.0, 2.0]]
    """
    network, layer = network_of(PARAMETERS), "hidden1"
    digits = np.zeros(len(IMAGES), dtype=int)  # any will do: this Hessian does not depend on the label
    passed = forward_pass(PARAMETERS, IMAGES)
    weights = np.exp(passed.logits)
    deviations = passed.activities[0] - passed.activities[0].mean(axis=0)
    sums = {
        "input_gradient": input_gradient_sums,
        "output_gradient": output_gradient_sums,
        "output_hessian": loss_hessian_sums,
    }
    averages = {"input_covariance": deviations.T @ deviations / len(IMAGES)}
    averages |= {name: total(passed, [0])[0] / len(IMAGES) for name, total in sums.items()}
    return WorkedExample(
        pre_activities=IMAGES @ PARAMETERS.weights[0].T + PARAMETERS.biases[0],
        passed=passed,
        probabilities=weights / weights.sum(axis=1, keepdims=True),
        input_jacobians=input_jacobian(network, IMAGES, layer),
        output_jacobians=output_jacobian(network, IMAGES, layer),
        hessians=loss_hessian(network, IMAGES, digits, layer),
        averages=averages,
        measures=similarity_matrices(network, IMAGES)[layer],
    )


def as_latex(number: float) -> str:
    r"""Write a number as a whole number or a fraction if it is one, else with three decimals.

    >>> as_latex(-2 / 3), as_latex(2.0), as_latex(0.7559)
    ('-\\tfrac{2}{3}', '2', '0.756')
    """
    fraction = Fraction(float(number)).limit_denominator(_LARGEST_DENOMINATOR)
    if abs(float(fraction) - number) > 1e-6 * max(1.0, abs(number)) or fraction.denominator > 99:
        return f"{number:.3f}"
    sign = "-" if fraction < 0 else ""
    top, bottom = abs(fraction.numerator), fraction.denominator
    return f"{sign}{top}" if bottom == 1 else rf"{sign}\tfrac{{{top}}}{{{bottom}}}"


def matrix_latex(matrix: np.ndarray) -> str:
    r"""Write a vector as a row, a matrix row by row, in brackets.

    >>> matrix_latex(np.array([[1.0, 0.5], [0.5, 1.0]]))
    '\\begin{bmatrix} 1 & \\tfrac{1}{2} \\\\ \\tfrac{1}{2} & 1 \\end{bmatrix}'
    """
    rows = [" & ".join(map(as_latex, row)) for row in np.atleast_2d(matrix)]
    return r"\begin{bmatrix} " + r" \\ ".join(rows) + r" \end{bmatrix}"


def network_text() -> str:
    """LaTeX of the example's weights and biases."""
    (first, last), (first_bias, last_bias) = PARAMETERS.weights, PARAMETERS.biases
    return (
        "$$\\begin{aligned}"
        f"W_1 &= {matrix_latex(first)}, & b_1 &= {matrix_latex(first_bias)}^\\top, \\\\ "
        f"W_2 &= {matrix_latex(last)}, & b_2 &= {matrix_latex(last_bias)}^\\top"
        "\\end{aligned}$$"
    )


def forward_markdown(example: WorkedExample) -> str:
    """Markdown table: pixels, pre-activities, activities, logits and softmax of each image, and the mean activity."""
    columns = {
        "pixels $x$": IMAGES,
        "sum $W_1 x + b_1$": example.pre_activities,
        "activity $h$": example.activity,
        "less mean $h - \\bar h$": example.deviations,
        "logits $y$": example.passed.logits,
        "softmax $p$": example.probabilities,
    }
    rows = [[name, *map(_tuple, vectors)] for name, *vectors in zip(IMAGE_NAMES, *columns.values(), strict=True)]
    return markdown(["image", *columns], [*rows, ["mean", "", "", _tuple(example.activity.mean(axis=0)), "", "", ""]])


def image_markdown(example: WorkedExample, name: str) -> str:
    """Markdown table: what the four measures average, of one image: h, ∂h/∂x, ∂y/∂h and ∂²L/∂h∂h."""
    image = IMAGE_NAMES.index(name)
    values = {
        r"activity $h$": example.activity[image],
        r"derivative $\partial h / \partial x$": example.input_jacobians[image],
        r"derivative $\partial y / \partial h$": example.output_jacobians[image],
        r"derivative $\partial^2 L / \partial h \partial h$": example.hessians[image],
    }
    rows = [
        [MEASURE_LABELS[measure], what, f"${matrix_latex(found)}$"]
        for measure, (what, found) in zip(example.averages, values.items(), strict=True)
    ]
    return markdown(["measure", "is made of", f"on image {name}"], rows)


def derivative_markdown(example: WorkedExample) -> str:
    """Markdown table: ∂h/∂x, ∂y/∂h and ∂²L/∂h∂h of each image."""
    columns = {
        r"derivative $\partial h / \partial x$": example.input_jacobians,
        r"derivative $\partial y / \partial h$": example.output_jacobians,
        r"derivative $\partial^2 L / \partial h \partial h$": example.hessians,
    }
    rows = zip(IMAGE_NAMES, *columns.values(), strict=True)
    return markdown(["image", *columns], ([name, *(f"${matrix_latex(m)}$" for m in found)] for name, *found in rows))


def similarity_markdown(example: WorkedExample) -> str:
    """Markdown table: S with its signs, and the normalised measure, of each of the four quantities."""
    rows = []
    for name, average in example.averages.items():
        found = (f"${matrix_latex(matrix)}$" for matrix in (average, example.measures[f"{name}_norm"]))
        rows.append([FAMILY[name], MEASURE_LABELS[name], *found])
    return markdown(["family", "measure $S$", "averaged over the images", "normalised"], rows)


def closest_pair_text(example: WorkedExample) -> str:
    """Which two units are the most similar over all images, by each raw measure, in a sentence."""
    by_pair: dict[tuple[int, int], list[str]] = {}
    for name in example.averages:
        by_pair.setdefault(closest_pair(example.measures[name]), []).append(MEASURE_LABELS[name])
    said = listed(f"units {i + 1} and {j + 1} by {listed(names)}" for (i, j), names in by_pair.items())
    return f"Over all {len(IMAGES)} images the most similar two are {said}."


def closest_pair(matrix: np.ndarray) -> tuple[int, int]:
    """The two units of highest similarity, counted from 0.

    >>> closest_pair(np.array([[9.0, 1.0, 2.0], [1.0, 9.0, 3.0], [2.0, 3.0, 9.0]]))
    (1, 2)
    """
    i, j = np.triu_indices(len(matrix), k=1)
    top = int(np.argmax(matrix[i, j]))
    return int(i[top]), int(j[top])


def _tuple(vector: np.ndarray) -> str:
    return "$(" + ",\\, ".join(map(as_latex, vector)) + ")$"
