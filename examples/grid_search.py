"""Density and number of hashes by cross-validated search, inside a pipeline.

Accuracy alone would choose the largest active sets; the table shows what each choice costs.
"""

import warnings

from sklearn.datasets import load_digits
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import prediction_cost, selection_recall

warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed below

X, y = load_digits(return_X_y=True)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)

pipeline = make_pipeline(
    StandardScaler(),
    LSHMLPClassifier((1000,), selector="lsh", max_iter=15, batch_size=50, random_state=0),
)
grid = {
    "lshmlpclassifier__density": [0.02, 0.05, 0.1],
    "lshmlpclassifier__n_hashes": [4, 6, 8],
}
search = GridSearchCV(pipeline, grid, cv=3).fit(X_train, y_train)

print("density  n_hashes  accuracy (3 folds)  fit time (s)")
results = search.cv_results_
for k, params in enumerate(results["params"]):
    density, n_hashes = params.values()
    print(
        f"{density:7.2f}  {n_hashes:8d}  {results['mean_test_score'][k]:18.3f}"
        f"  {results['mean_fit_time'][k]:12.2f}"
    )

scaler, network = search.best_estimator_
X_test = scaler.transform(X_test)
cost = prediction_cost(network, X_test)
dense = cost.pop("dense")
print(f"\nchosen: {search.best_params_}")
print(f"test accuracy {network.score(X_test, y_test):.3f}")
print(f"recall of the exact active set {selection_recall(network, X_test)['recall'][0]:.3f}")
print(f"multiplications of a prediction, share of dense {sum(cost.values()) / dense:.3f}")
