"""Multilayer perceptrons that compute only the neurons they need, for scikit-learn."""

from sklearn_lsh._classifier import LSHMLPClassifier
from sklearn_lsh._regressor import LSHMLPRegressor

__version__ = "0.1.0"
__all__ = ["LSHMLPClassifier", "LSHMLPRegressor"]
