"""Covariance of units, from one batch after the other, and the similarity that is made of an average: sign, norm."""

import numpy as np

CONSTANT = 16  # rounding errors of its largest activity that the standard deviation of a constant unit may reach


class Covariance:
    """Covariance of units over the inputs, averaged over positions.

    Args:
        rounding: relative rounding error of the precision that activities are computed in.
    """

    def __init__(self, rounding: float) -> None:
        self._rounding = rounding
        self._n_inputs = 0

    def add(self, activity: np.ndarray, layer: str) -> None:
        """Count in some inputs: activity of the layer has shape (inputs, positions, units)."""
        cause = f"an operation up to this layer overflows {activity.dtype}, or is not defined for these inputs"
        check_finite(activity, f"the activity of layer {layer!r}", cause)
        if self._n_inputs == 0:
            shape = activity.shape[1:]
            # Sums are taken relative to one input: a unit that never changes then gives exact zeros.
            self._origin = activity[0].astype(np.float64)
            self._sum, self._squares, self._peak = np.zeros(shape), np.zeros(shape), np.zeros(shape)
            self._products = np.zeros((shape[1], shape[1]))
        shifted = activity - self._origin
        self._n_inputs += len(activity)
        self._sum += shifted.sum(axis=0)
        flat = shifted.reshape(-1, shifted.shape[-1])
        self._products += flat.T @ flat
        if len(self._sum) > 1:
            self._squares += np.square(shifted).sum(axis=0)
        np.maximum(self._peak, np.abs(activity).max(axis=0), out=self._peak)

    def result(self) -> np.ndarray:
        """The covariance, normalised by the number of inputs; exactly 0 in the rows and columns of constant units."""
        mean = self._sum / self._n_inputs
        n_positions = len(mean)
        covariance = self._products / (self._n_inputs * n_positions)
        covariance -= np.outer(mean[0], mean[0]) if n_positions == 1 else mean.T @ mean / n_positions
        variance = covariance.diagonal()[np.newaxis] if n_positions == 1 else self._squares / self._n_inputs - mean**2
        deviation = np.sqrt(np.maximum(variance, 0.0))
        constant = (deviation <= CONSTANT * self._rounding * self._peak).all(axis=0)
        covariance[constant, :] = 0.0
        covariance[:, constant] = 0.0
        return covariance


def similarity_of_average(average: np.ndarray, *, normalised: bool, signed: bool = False) -> np.ndarray:
    """|S|, or |S_ij / √(S_ii S_jj)|, which is 0 where S_ii or S_jj is 0; with the sign if it is wanted.

    Args:
        average: S, shape (units, units), symmetric but for rounding; finite.
    """
    similarity = (average + average.T) / 2
    if normalised:
        diagonal = np.abs(similarity.diagonal())
        scale = np.where(diagonal > 0, np.sqrt(diagonal), np.inf)
        own = np.sign(similarity.diagonal())
        similarity = similarity / scale / scale[:, np.newaxis]  # one after the other: their product may underflow
        similarity = (similarity + similarity.T) / 2
        np.fill_diagonal(similarity, own)  # exactly 1, not 1 up to rounding
    return similarity if signed else np.abs(similarity)


def check_finite(values: np.ndarray, what: str, cause: str) -> None:
    """Raise ValueError, with the cause, if one of the numbers is NaN or infinite."""
    if not np.isfinite(values).all():
        count = np.count_nonzero(~np.isfinite(values))
        raise ValueError(f"{what} must be finite, got NaN or infinity in {count} of {values.size} entries: {cause}.")
