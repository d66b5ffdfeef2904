"""
=============================================
Accuracy and cost of hash tables, by searches
=============================================

Accuracy alone would choose the largest active sets and look into the most tables. A grid search
over the parameters of the tables shows what each choice costs, and which of them nothing beats at
its price; a halving search finds a good one with less training.
"""

import sys
import warnings
from pathlib import Path
from time import perf_counter

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.model_selection import GridSearchCV, HalvingGridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import prediction_cost

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed below

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

# %%
# The scorer returns two numbers: accuracy, and multiplications of a prediction as a share of those
# of a dense network. The search chooses by the first.


def accuracy_and_cost(model, X, y):
    scaler, network = model
    cost = prediction_cost(network, scaler.transform(X))
    dense = cost.pop("dense")
    return {"accuracy": model.score(X, y), "cost": sum(cost.values()) / dense}


grid = {
    "lshmlpclassifier__hash_function": ["simhash", "wta"],
    "lshmlpclassifier__density": [0.02, 0.05, 0.1],
    "lshmlpclassifier__n_hashes": [2, 3],
    "lshmlpclassifier__n_tables": [4, 10],
}
pipeline = make_pipeline(
    StandardScaler(),
    LSHMLPClassifier((1000,), selector="lsh", max_iter=12, batch_size=50, random_state=0),
)
start = perf_counter()
search = GridSearchCV(pipeline, grid, cv=3, scoring=accuracy_and_cost, refit="accuracy")
search.fit(X_train, y_train)
seconds = perf_counter() - start
results = search.cv_results_
accuracy, cost = results["mean_test_accuracy"], results["mean_test_cost"]

# %%
# Candidates that nothing beats at their price or below:
order = np.argsort(cost)
front = [k for n, k in enumerate(order) if accuracy[k] > accuracy[order[:n]].max(initial=0)]
print("hash function  density  n_hashes  n_tables  accuracy (3 folds)  multiplications")
for k in front:
    params = {name.split("__")[1]: value for name, value in results["params"][k].items()}
    print(
        f"{params['hash_function']:<13}  {params['density']:7.2f}  {params['n_hashes']:8d}"
        f"  {params['n_tables']:8d}  {accuracy[k]:18.3f}  {cost[k]:15.3f}"
    )
print(f"\ngrid:    {len(accuracy)} candidates in {seconds:.0f} s, chosen {search.best_params_}")
print(f"         test accuracy {search.score(X_test, y_test):.3f}")

# %%
# Halving trains all candidates for 3 epochs, the best third for 9.
start = perf_counter()
halving = HalvingGridSearchCV(
    pipeline,
    grid,
    cv=3,
    resource="lshmlpclassifier__max_iter",
    min_resources=3,
    max_resources=12,
    random_state=0,
).fit(X_train, y_train)
seconds = perf_counter() - start
params = {name: value for name, value in halving.best_params_.items() if name in grid}
print(f"halving: the best after {seconds:.0f} s {params}")
print(f"         test accuracy {halving.score(X_test, y_test):.3f}")

# %%
# Every candidate of the grid; the line joins the front.
figure, ax = plt.subplots(figsize=(7, 4.5), layout="constrained")
functions = results["param_lshmlpclassifier__hash_function"]
densities = results["param_lshmlpclassifier__density"]
markers = dict(zip(grid["lshmlpclassifier__density"], "ov^", strict=True))
colours = {"simhash": "tab:blue", "wta": "tab:orange"}
ax.plot(cost[front], accuracy[front], color="0.6", linewidth=1, zorder=0)
for function, colour in colours.items():
    for density, marker in markers.items():
        shown = (functions == function) & (densities == density)
        ax.scatter(
            cost[shown], accuracy[shown], color=colour, marker=marker,
            label=f"{function}, density {density}",
        )  # fmt: skip
chosen = results["params"].index(params)
ax.scatter(
    cost[chosen], accuracy[chosen], s=160, facecolors="none", edgecolors="black",
    label="chosen by halving",
)  # fmt: skip
ax.set(
    xlabel="multiplications of a prediction, share of dense",
    ylabel="accuracy, mean of 3 folds",
    title="Digits, one hidden layer of 1000 neurons",
)
ax.grid(alpha=0.3)
ax.spines[["top", "right"]].set_visible(False)
ax.legend(frameon=False, fontsize="small", loc="lower right")
path = Path(sys.argv[1] if len(sys.argv) > 1 else "grid_search.png")
figure.savefig(path, dpi=150)
print(f"Picture saved: {path.resolve()}")
