"""How well the model finds what is odd, and how well its probabilities hold.

    python benchmarks/model.py [--data FOLDER_OF_ADBENCH_DEV] [--sets cardio,http] [--quick] [--json]

First a seeded office: sessions of eight departments with 40 counts (Poisson, over-dispersed, busy people do more of
everything). Nominal rates: share of 20,000 later ordinary sessions with p at most 5 %, 1 %, 0.1 %, over the nominal.
Detection: share of 1,000 sessions made odd that beat all but 0.1 % of the ordinary ones; k features are set to m times
what one session in a thousand of the department reaches, plus 3.

Then, with --data, labelled public sets. Each is shuffled, cut to at most 20,000 rows (`--quick`: 3,000) and worked on
as a month without labels is: fitted on the first 70 %, calibrated on the rest, and all rows scored. Both directions of
every feature count as suspicious, and there are no peer groups, since the sets say nothing about either. AUC: area under
the ROC curve; AP: average precision. `plain` is scikit-learn's IsolationForest on the untouched rows.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import numpy as np
import polars as pl
from sklearn.ensemble import IsolationForest
from sklearn.metrics import average_precision_score, roc_auc_score

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # runs from a checkout, installed or not

from detector import model

SETS = "cardio,annthyroid,WDBC,satimage-2,pendigits,musk,letter,http,smtp"
MEMBERS = {"forest": "p_forest", "peer": "p_peer", "union": "p"}
LEVELS = (0.05, 0.01, 0.001)
ODD = ((1, 2.0), (1, 3.0), (1, 6.0), (2, 2.0), (2, 3.0), (6, 1.0), (15, 0.4))


def office(rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Counts and departments of ordinary sessions; the habits are the same whatever the seed."""
    habits = np.random.default_rng(99)
    base, shares = habits.gamma(0.5, 6, (8, 40)), habits.dirichlet(np.ones(8) * 1.5)
    rng = np.random.default_rng(seed)
    group = rng.choice(8, rows, p=shares)
    return rng.poisson(rng.lognormal(0, 0.6, (rows, 1)) * rng.gamma(0.8, base[group] / 0.8)), group


def frame(counts: np.ndarray, group: np.ndarray) -> pl.DataFrame:
    """A table of features as the frame of sessions that the model reads."""
    order = pl.int_range(len(counts), eager=True)
    table = pl.DataFrame(counts.astype(np.float64), schema=[f"f{i}" for i in range(counts.shape[1])])
    return table.with_columns(session=order.cast(pl.String), last=order, group=pl.Series(group.astype(str)))


def odd_sessions(counts: np.ndarray, group: np.ndarray, features: int, times: float) -> pl.DataFrame:
    """1,000 ordinary sessions with some features raised."""
    rng = np.random.default_rng(5)
    rows, peers = office(1_000, 77)
    reach = np.array([np.quantile(counts[group == g], 0.999, axis=0) for g in range(8)])
    for row, peer in zip(rows, peers, strict=True):
        chosen = rng.choice(rows.shape[1], features, replace=False)
        row[chosen] = reach[peer][chosen] * times + 3
    return frame(rows, peers)


def simulate(rows: int, seeds: int) -> dict[str, object]:
    """Nominal rates and detection in the seeded office, means over the seeds."""
    rates, found = [], []
    for seed in range(seeds):
        counts, group = office(rows, seed)
        sessions = frame(counts, group)
        fitted = model.fit(sessions, sessions.columns[:40], "group", seed)
        ordinary = fitted.score(frame(*office(20_000, 1_000 + seed)))
        p = {member: ordinary[column].to_numpy() for member, column in MEMBERS.items()}
        rates.append([[(p[member] <= level).mean() / level for level in LEVELS] for member in MEMBERS])
        limit = {member: np.quantile(p[member], 0.001) for member in MEMBERS}
        scored = [fitted.score(odd_sessions(counts, group, features, times)) for features, times in ODD]
        found.append([[(s[MEMBERS[m]].to_numpy() < limit[m]).mean() for m in MEMBERS] for s in scored])
    rate, share = np.mean(rates, axis=0).round(2), np.mean(found, axis=0).round(3)
    return {
        "sessions": rows,
        "rates": {m: dict(zip(map(str, LEVELS), row, strict=True)) for m, row in zip(MEMBERS, rate.tolist(), strict=True)},
        "found": [
            {"features": features, "times": times, **dict(zip(MEMBERS, row, strict=True))}
            for (features, times), row in zip(ODD, share.tolist(), strict=True)
        ],
    }  # fmt: skip


def show(result: dict[str, object]) -> None:
    """Print one size of the seeded office as tables."""
    print(
        f"\n{result['sessions']:,} sessions to learn from\n\n| observed / nominal at | 5 % | 1 % | 0.1 % |\n|---|---|---|---|"
    )
    for member, row in result["rates"].items():
        print(f"| {member} | " + " | ".join(f"{value:.2f}" for value in row.values()) + " |")
    print("\n| odd features × times | forest | peer | union |\n|---|---|---|---|")
    for row in result["found"]:
        cells = " | ".join(f"{row[member]:.0%}" for member in MEMBERS)
        print(f"| {row['features']} × {row['times']:g} | {cells} |")


def evaluate(path: Path, rows: int, seed: int) -> dict[str, object]:
    """AUC and AP of each member on one labelled set."""
    data = np.load(path, allow_pickle=False)
    picked = np.random.default_rng(seed).permutation(len(data["y"]))[:rows]
    X, y = data["X"][picked], data["y"][picked]
    sessions = frame(X, np.full(len(X), "all"))
    names = sessions.columns[: X.shape[1]]
    scored = model.fit(sessions, names, "group", seed, dict.fromkeys(names, "both")).score(sessions)
    plain = -IsolationForest(random_state=seed).fit(X).score_samples(X)
    surprise = {"plain": plain} | {m: -np.log(scored[column].to_numpy()) for m, column in MEMBERS.items()}
    return {
        "set": path.stem,
        "rows": len(y),
        "features": X.shape[1],
        "anomalies": int(y.sum()),
        "auc": {name: round(float(roc_auc_score(y, value)), 3) for name, value in surprise.items()},
        "ap": {name: round(float(average_precision_score(y, value)), 3) for name, value in surprise.items()},
    }


def labelled(folder: Path, names: list[str], rows: int, seed: int) -> dict[str, object]:
    """All sets, printed as a table, with their means."""
    print("\n| AUC / AP | rows × features | anomalies | plain | forest | peer | union |\n|---|---|---|---|---|---|---|")
    results = []
    for name in names:
        got = evaluate(folder / f"{name}.npz", rows, seed)
        results.append(got)
        cells = " | ".join(f"{got['auc'][member]:.3f} / {got['ap'][member]:.3f}" for member in got["auc"])
        print(f"| {name} | {got['rows']:,} × {got['features']} | {got['anomalies']} | {cells} |")
    mean = {k: {m: round(float(np.mean([r[k][m] for r in results])), 3) for m in results[0][k]} for k in ("auc", "ap")}
    print("| mean | | | " + " | ".join(f"{mean['auc'][m]:.3f} / {mean['ap'][m]:.3f}" for m in mean["auc"]) + " |")
    return {"sets": results, "mean": mean}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, help="folder of ADBench sets (.npz with X and y)")
    parser.add_argument("--sets", default=SETS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--json", action="store_true", help="last line is one JSON object")
    args = parser.parse_args()
    results: dict[str, object] = {"benchmark": "model", "seed": args.seed}
    results["office"] = [
        simulate(rows, 1 if args.quick else 3) for rows in ((1_000,) if args.quick else (300, 1_000, 6_000))
    ]
    for result in results["office"]:
        show(result)
    if args.data:
        results |= labelled(args.data, args.sets.split(","), 3_000 if args.quick else 20_000, args.seed)
    if args.json:
        print(json.dumps(results))


if __name__ == "__main__":
    main()
