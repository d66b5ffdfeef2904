"""Regression with two outputs: the joint positions of a robot arm give the place of its hand."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPRegressor
from sklearn.preprocessing import StandardScaler

from sklearn_lsh import LSHMLPRegressor
from sklearn_lsh.inspection import selection_recall

rng = np.random.default_rng(0)
angles = rng.uniform(-1.5, 1.5, size=(8000, 4))
heading = np.cumsum(angles, axis=1)
hand = np.column_stack([np.cos(heading).sum(axis=1), np.sin(heading).sum(axis=1)])
hand += rng.normal(scale=0.05, size=hand.shape)
X_train, X_test, y_train, y_test = train_test_split(angles, hand, random_state=0)

common = {
    "hidden_layer_sizes": (500, 500),
    "early_stopping": True,
    "max_iter": 60,
    "n_iter_no_change": 5,
    "random_state": 0,
}
models = {
    "MLPRegressor": MLPRegressor(**common),
    "LSHMLPRegressor, 10 % active": LSHMLPRegressor(**common, density=0.1),
    "LSHMLPRegressor, 20 % active": LSHMLPRegressor(**common, density=0.2),
}
for name, model in models.items():
    model = TransformedTargetRegressor(model, transformer=StandardScaler()).fit(X_train, y_train)
    print(f"{name:<29} R2 {model.score(X_test, y_test):.4f}, {model.regressor_.n_iter_} epochs")
    if isinstance(model.regressor_, LSHMLPRegressor):
        spent = dict(model.regressor_.n_multiplications_)
        dense = spent.pop("dense")
        recall = ", ".join(f"{r:.3f}" for r in selection_recall(model.regressor_, X_test)["recall"])
        print(f"{'':<29} multiplications of training {sum(spent.values()) / dense:.3f} of dense")
        print(f"{'':<29} recall of the exact active sets {recall}")
