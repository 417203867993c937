"""How well the model finds labelled anomalies, beside the plain forest.

    python benchmarks/model.py --data FOLDER_OF_ADBENCH_DEV [--sets cardio,http] [--quick] [--json]

Each set is shuffled, cut to at most 20,000 rows (`--quick`: 3,000) and worked on as a month without labels is: fitted
on the first 70 %, calibrated on the rest, and all rows scored. Both directions of every feature count as suspicious, and
there are no peer groups, since the sets say nothing about either. AUC: area under the ROC curve; AP: average precision.
`plain` is scikit-learn's IsolationForest on the untouched features, fitted on all rows.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from detector import model

SETS = "cardio,annthyroid,WDBC,satimage-2,pendigits,musk,letter,http,smtp"


def sessions(X: np.ndarray) -> tuple[pl.DataFrame, list[str]]:
    """A table of features as the frame of sessions that the model reads."""
    names = [f"f{i}" for i in range(X.shape[1])]
    frame = pl.DataFrame(X.astype(np.float64), schema=names)
    order = pl.int_range(frame.height, eager=True)
    return frame.with_columns(session=order.cast(pl.String), last=order, group=pl.lit("all")), names


def evaluate(path: Path, rows: int, seed: int) -> dict[str, object]:
    """AUC and AP of each member on one set."""
    data = np.load(path, allow_pickle=False)
    picked = np.random.default_rng(seed).permutation(len(data["y"]))[:rows]
    X, y = data["X"][picked], data["y"][picked]
    frame, names = sessions(X)
    begin = time.process_time()
    fitted = model.fit(frame, names, "group", seed, dict.fromkeys(names, "both"))
    scored = fitted.score(frame)
    seconds = time.process_time() - begin
    plain = -IsolationForest(random_state=seed).fit(X).score_samples(X)
    surprise = {"plain": plain} | {
        name: -np.log(scored[column].to_numpy())
        for name, column in (("forest", "p_forest"), ("peer", "p_peer"), ("union", "p"))
    }
    return {
        "set": path.stem,
        "rows": len(y),
        "features": X.shape[1],
        "anomalies": int(y.sum()),
        "auc": {name: round(float(roc_auc_score(y, value)), 3) for name, value in surprise.items()},
        "ap": {name: round(float(average_precision_score(y, value)), 3) for name, value in surprise.items()},
        "cpu_seconds": round(seconds, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    args = parser.parse_args()
    rows = 3_000 if args.quick else 20_000
    print("| set | rows × features | anomalies | plain | forest | peer | union |\n|---|---|---|---|---|---|---|")
    results = []
    for name in args.sets.split(","):
        got = evaluate(args.data / f"{name}.npz", rows, args.seed)
        results.append(got)
        cells = (f"{got['auc'][member]:.3f} / {got['ap'][member]:.3f}" for member in got["auc"])
        print(f"| {name} | {got['rows']:,} × {got['features']} | {got['anomalies']} | " + " | ".join(cells) + " |")
    mean = {k: {m: round(float(np.mean([r[k][m] for r in results])), 3) for m in results[0][k]} for k in ("auc", "ap")}
    print("| mean | | | " + " | ".join(f"{mean['auc'][m]:.3f} / {mean['ap'][m]:.3f}" for m in mean["auc"]) + " |")
    if args.json:
        print(json.dumps({"benchmark": "model", "seed": args.seed, "sets": results, "mean": mean}))


if __name__ == "__main__":
    main()
