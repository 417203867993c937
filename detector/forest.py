"""The isolation forest: fitted by scikit-learn, scored from flat arrays.

scikit-learn walks a forest tree by tree from Python, which costs some 5 ms however few rows there are. `compile` lays all
trees end to end in five arrays, and `FlatForest.score` walks all trees and rows together, level by level. Scores
are bit-identical with `IsolationForest.score_samples` (`benchmarks/forest.py`, `tests/detector/test_forest.py`).

Liu, Ting, Zhou: Isolation Forest. ICDM 2008, https://doi.org/10.1109/ICDM.2008.17
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from detector import npz

if TYPE_CHECKING:
    from sklearn.ensemble import IsolationForest

VERSION: Final = 1
TREES: Final = 100
SAMPLE: Final = 256  # rows a tree sees; Liu et al. found more to hide anomalies among each other
_CELLS: Final = 64_000  # trees × rows walked at once: the working arrays then stay in the second-level cache

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]


def matrix(X: ArrayLike, features: int | None = None) -> Float32:
    """Check a table of feature values.

    Args:
        X: Rows × features.
        features: Number of features expected, if known.

    Returns:
        The same as contiguous float32.

    Raises:
        ValueError: It is no table, has another number of features, or holds NaN, an infinite value or one beyond
            float32 (±3.4e38); the message names the first such cell and their number.
    """
    with np.errstate(over="ignore"):  # what overflows becomes infinite and is refused below
        table = np.ascontiguousarray(X, dtype=np.float32)
    if table.ndim != 2:
        raise ValueError(f"forest: expected rows × features, got an array of shape {table.shape}")
    if features is not None and table.shape[1] != features:
        raise ValueError(f"forest: fitted on {features} features, got {table.shape[1]}; use the same list of features")
    bad = ~np.isfinite(table)
    if bad.any():
        row, column = (int(i) for i in np.argwhere(bad)[0])
        raise ValueError(
            f"forest: {int(bad.sum())} cells are NaN, infinite or beyond float32, the first in row {row}, "
            f"feature {column}: {np.asarray(X)[row, column]}; fill or leave out such rows first"
        )
    return table


def fit(X: ArrayLike, seed: int, trees: int = TREES, sample: int = SAMPLE) -> IsolationForest:
    """Fit a forest.

    Args:
        X: Rows × features, finite. The order of rows matters to the draw: sort them by a stable key.
        seed: 0 … 2³²−1; same rows, same seed and same scikit-learn give the same forest.
        trees: Number of trees.
        sample: Rows drawn for each tree, without repetition; all rows if there are fewer.

    Returns:
        scikit-learn's forest.

    Raises:
        ValueError: As `matrix`, or there is no row or no feature.
    """
    table = matrix(X)
    if not table.size:
        raise ValueError(f"forest: nothing to learn from {table.shape[0]} rows × {table.shape[1]} features")
    # Imported here because it takes a second that scoring, and whatever fails before fitting, need not spend.
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=trees, max_samples=min(sample, len(table)), random_state=seed)
    forest.fit(table)
    return forest


@dataclass(frozen=True, eq=False)
class FlatForest:
    """A forest as arrays; node i of any tree is entry i of each.

    Attributes:
        feature: Column a node asks for (0 at leaves).
        threshold: A row goes right if its value is greater; +∞ at leaves, so a row stays where it is.
        left: Left child; the right child is the next entry. A leaf is its own left child.
        value: Path length a leaf stands for (its depth, and the mean further path of the rows it still holds).
        roots: First node of each tree.
        depth: Levels of the deepest tree.
        denominator: Trees × mean path length of a sample; 0 if trees saw a single row.
        features: Number of columns.
    """

    feature: NDArray[np.intp]
    threshold: Float32
    left: NDArray[np.intp]
    value: Float64
    roots: NDArray[np.intp]
    depth: int
    denominator: float
    features: int

    def score(self, X: ArrayLike) -> Float64:
        """Score rows.

        Args:
            X: Rows × features, finite.

        Returns:
            One value a row from −1 to 0, the lower the odder: exactly `IsolationForest.score_samples`. A row's
            score does not depend on the rows beside it.

        Raises:
            ValueError: As `matrix`.
        """
        every = matrix(X, self.features)
        # Short sessions are often alike: equal rows are walked once.
        _, first, again = np.unique(
            every.view(np.dtype((np.void, every.itemsize * self.features))).ravel(),
            return_index=True,
            return_inverse=True,
        )
        table = every[first]
        paths = np.empty(len(table))
        step = max(1, _CELLS // len(self.roots))
        for start in range(0, len(table), step):
            paths[start : start + step] = self._paths(table[start : start + step])
        # The expression of scikit-learn, in float64, so that the last bit agrees.
        exponent = -np.divide(paths, self.denominator, out=np.ones_like(paths), where=self.denominator != 0)
        return np.asarray(-(2**exponent), dtype=np.float64)[again]

    def _paths(self, rows: Float32) -> Float64:
        """Sum of path lengths over the trees, for rows few enough to be walked at once."""
        count = len(rows)
        cells = rows.ravel()
        base = np.arange(count) * self.features
        nodes = np.broadcast_to(self.roots[:, None], (len(self.roots), count))
        for _ in range(self.depth):
            at = self.feature.take(nodes)
            at += base
            nodes = self.left.take(nodes) + (cells.take(at) > self.threshold.take(nodes))
        lengths = self.value.take(nodes)
        # scikit-learn adds tree after tree. ndarray.sum would add pairwise and differ in the last bit.
        if count < 16:
            return np.asarray(np.cumsum(lengths, axis=0)[-1])
        total = np.zeros(count)
        for tree in lengths:
            total += tree
        return total

    def to_bytes(self) -> bytes:
        """Serialise; equal forests give equal bytes."""
        header = {"depth": self.depth, "denominator": self.denominator.hex(), "features": self.features}
        arrays: npz.Arrays = {
            "feature": self.feature.astype(np.int32),
            "threshold": self.threshold,
            "left": self.left.astype(np.int32),
            "value": self.value,
            "roots": self.roots.astype(np.int32),
        }
        return npz.dumps("forest", VERSION, header, arrays)

    @classmethod
    def from_bytes(cls, data: bytes) -> FlatForest:
        """Read what `to_bytes` wrote.

        Raises:
            detector.npz.StateError: Damaged, another kind, or an unknown version.
        """
        header, arrays = npz.loads(data, "forest", VERSION)
        return cls(
            feature=arrays["feature"].astype(np.intp),
            threshold=arrays["threshold"],
            left=arrays["left"].astype(np.intp),
            value=arrays["value"],
            roots=arrays["roots"].astype(np.intp),
            depth=int(header["depth"]),
            denominator=float.fromhex(header["denominator"]),
            features=int(header["features"]),
        )

    @property
    def id(self) -> str:
        """Identity by content: 16 hex digits."""
        return npz.digest(self.to_bytes())


def compile(forest: IsolationForest) -> FlatForest:
    """Lay a fitted forest out flat.

    Args:
        forest: Fitted by scikit-learn on finite values, with any options.

    Returns:
        The forest whose `score` equals `forest.score_samples` bit by bit.
    """
    sizes = [int(tree.tree_.node_count) for tree in forest.estimators_]
    roots = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(np.intp)
    trees = zip(forest.estimators_, forest.estimators_features_, roots, strict=True)
    parts = [_lay_out(tree.tree_, columns, int(root)) for tree, columns, root in trees]
    feature, threshold, left, value = (np.concatenate(column) for column in zip(*parts, strict=True))
    sample = np.array([forest.max_samples_])
    return FlatForest(
        feature=feature,
        threshold=threshold,
        left=left,
        value=value,
        roots=roots,
        depth=max(int(tree.tree_.max_depth) for tree in forest.estimators_),
        denominator=float((len(sizes) * _mean_path(sample))[0]),
        features=int(forest.n_features_in_),
    )


def _lay_out(
    tree: Any, columns: NDArray[np.intp], root: int
) -> tuple[NDArray[np.intp], Float32, NDArray[np.intp], Float64]:
    """One tree's (feature, threshold, left, value), renumbered so that siblings are neighbours, beginning at `root`."""
    inner = np.flatnonzero(tree.children_left >= 0)
    place = np.zeros(tree.node_count, dtype=np.intp)
    first = 1 + 2 * np.arange(len(inner), dtype=np.intp)
    place[tree.children_left[inner]] = first
    place[tree.children_right[inner]] = first + 1

    feature = np.zeros(tree.node_count, dtype=np.intp)
    threshold = np.full(tree.node_count, np.inf, dtype=np.float32)
    left = np.arange(tree.node_count, dtype=np.intp) + root
    value = np.empty(tree.node_count)
    feature[place[inner]] = columns[tree.feature[inner]]
    threshold[place[inner]] = _round_down(tree.threshold[inner])
    left[place[inner]] = first + root
    value[place] = tree.compute_node_depths() + _mean_path(tree.n_node_samples) - 1.0
    return feature, threshold, left, value


def _round_down(threshold: Float64) -> Float32:
    """The largest float32 not above each threshold: float32 values compare with it as they do with the float64."""
    rounded = threshold.astype(np.float32)
    return np.where(rounded > threshold, np.nextafter(rounded, np.float32(-np.inf)), rounded)


def _mean_path(rows: NDArray[np.int64]) -> Float64:
    """Mean path of an unsuccessful search among that many rows; scikit-learn's formula, operation by operation."""
    length = np.where(rows == 2, 1.0, 0.0)
    many = rows > 2
    n = rows[many]
    length[many] = 2.0 * (np.log(n - 1.0) + np.euler_gamma) - 2.0 * (n - 1.0) / n
    return length
