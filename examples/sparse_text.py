"""Sparse input: which part of scikit-learn does a line of its documentation come from?

Character n-grams are hashed into 2^14 columns of a CSR matrix, which stays sparse from end to end:
a row costs its stored entries, not its columns.
"""

import importlib
import inspect
import pkgutil
import warnings

import numpy as np
import sklearn
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import SGDClassifier
from sklearn.model_selection import train_test_split

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh.inspection import prediction_cost, selection_recall

SKIPPED = {"experimental", "externals", "tests"}
warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is fixed below

lines, sources = [], []
for module in pkgutil.iter_modules(sklearn.__path__):
    if not module.ispkg or module.name.startswith("_") or module.name in SKIPPED:
        continue
    package = importlib.import_module(f"sklearn.{module.name}")
    public = [getattr(package, n) for n in getattr(package, "__all__", ()) if n in vars(package)]
    text = "\n".join(inspect.getdoc(thing) or "" for thing in public)
    found = {line.strip() for line in text.splitlines() if len(line.split()) >= 6}
    if len(found) >= 20:
        lines += sorted(found)
        sources += [module.name] * len(found)

X = HashingVectorizer(analyzer="char_wb", ngram_range=(2, 4), n_features=2**14).transform(lines)
y = np.array(sources)
X_train, X_test, y_train, y_test = train_test_split(X, y, stratify=y, random_state=0)
print(
    f"{X.shape[0]} lines, {X.shape[1]} columns, {X.nnz / X.shape[0]:.1f} entries a row, "
    f"{len(np.unique(y))} parts"
)

linear = SGDClassifier(loss="log_loss", random_state=0).fit(X_train, y_train)
print(f"linear model      accuracy {linear.score(X_test, y_test):.3f}")

network = LSHMLPClassifier(
    (1000,),
    selector="sketch",
    density=0.05,
    batch_size=64,
    learning_rate_init=0.003,
    max_iter=5,
    random_state=0,
).fit(X_train, y_train)
cost = prediction_cost(network, X_test)
dense = cost.pop("dense")
print(f"LSHMLPClassifier  accuracy {network.score(X_test, y_test):.3f}")
print(f"recall of the exact active set {selection_recall(network, X_test)['recall'][0]:.3f}")
print(f"multiplications of a prediction, share of dense {sum(cost.values()) / dense:.3f}")
