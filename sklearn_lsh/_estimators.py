"""The estimators: scikit-learn's contract, targets and predictions."""

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.metrics import accuracy_score, r2_score
from sklearn.utils._param_validation import StrOptions
from sklearn.utils.class_weight import compute_sample_weight
from sklearn.utils.multiclass import check_classification_targets, type_of_target, unique_labels

from sklearn_lsh._base import BaseLSHMLP
from sklearn_lsh._losses import Loss
from sklearn_lsh._rows import Rows


class LSHMLPClassifier(ClassifierMixin, BaseLSHMLP):
    """DOC"""

    _parameter_constraints = {
        **BaseLSHMLP._parameter_constraints,
        "class_weight": [dict, StrOptions({"balanced"}), None],
    }

    def __init__(
        self,
        hidden_layer_sizes=(1000,),
        activation="relu",
        *,
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        selector="auto",
        density=0.05,
        hash_function="simhash",
        n_hashes=6,
        n_tables=10,
        n_probes=10,
        n_candidates=None,
        sketch_size=32,
        asynchronous=False,
        n_threads=None,
        class_weight=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.selector = selector
        self.density = density
        self.hash_function = hash_function
        self.n_hashes = n_hashes
        self.n_tables = n_tables
        self.n_probes = n_probes
        self.n_candidates = n_candidates
        self.sketch_size = sketch_size
        self.asynchronous = asynchronous
        self.n_threads = n_threads
        self.class_weight = class_weight

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to float32; CSR stays sparse.
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels)
            Classes, or a binary indicator matrix of labels.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; rows of weight zero are left out.

        Returns
        -------
        self : LSHMLPClassifier

        Raises
        ------
        ValueError
            A parameter out of range, data that are not finite, weights that are negative or all
            zero, or weights of the network that stopped being finite. The estimator is unchanged.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None, classes=None):
        """Train on the given rows once.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or {array-like, sparse matrix} of shape \
                (n_samples, n_labels)
        sample_weight : array-like of shape (n_samples,), default=None
        classes : array-like of shape (n_classes,), default=None
            All classes there will be; required at the first call.

        Returns
        -------
        self : LSHMLPClassifier

        Raises
        ------
        ValueError
            As in `fit`; classes missing at the first call or other than before; labels unseen.
        """
        return self._fit(X, y, sample_weight, incremental=True, classes=classes)

    def _encode(self, y, weight, cold, incremental, classes):
        """Loss, target Rows and sample weights; sets classes_ on a cold start."""
        check_classification_targets(y)
        kind = type_of_target(y, input_name="y")
        multilabel = kind == "multilabel-indicator"
        if kind == "multiclass-multioutput":
            raise ValueError("y of several multiclass outputs is not supported (unknown label type).")
        if not multilabel:
            y = np.asarray(y).reshape(-1) if np.ndim(y) < 2 else self._column(y)
        if cold:
            if incremental and classes is None:
                raise ValueError("classes must be passed on the first call to partial_fit.")
            found = np.arange(y.shape[1]) if multilabel else np.unique(y)
            self.classes_ = unique_labels(classes) if incremental and not multilabel else found
            self._multilabel = multilabel
        else:
            if classes is not None and not np.array_equal(self.classes_, unique_labels(classes)):
                raise ValueError(
                    f"classes={classes!r} is not the same as on the last call: {self.classes_!r}"
                )
            if multilabel != self._multilabel:
                raise ValueError("y changed between classes and an indicator matrix of labels.")
        weight = self._weigh_classes(y, weight)
        if multilabel:
            if y.shape[1] != len(self.classes_):
                raise ValueError(f"y has {y.shape[1]} labels (classes), not {len(self.classes_)}.")
            labels = sp.csr_array(y, dtype=np.float32)
            labels.eliminate_zeros()
            return Loss("binary_log_loss"), Rows.from_matrix(labels), weight
        codes = np.searchsorted(self.classes_, y)
        codes[codes == len(self.classes_)] = 0
        if np.any(self.classes_[codes] != y):
            unseen = np.setdiff1d(y, self.classes_)
            raise ValueError(f"y has classes {unseen} that are not in classes_ {self.classes_}.")
        if len(self.classes_) > 2:
            return Loss("log_loss"), Rows.one_hot(codes, len(self.classes_)), weight
        return Loss("binary_log_loss"), Rows.from_matrix(codes[:, None]), weight

    @staticmethod
    def _column(y):
        from sklearn.utils.validation import column_or_1d

        return column_or_1d(y, warn=True)

    def _weigh_classes(self, y, weight):
        if self.class_weight is None:
            return weight
        if isinstance(self.class_weight, dict) and min(self.class_weight.values(), default=0) < 0:
            raise ValueError(f"class_weight must not be negative, got {self.class_weight!r}.")
        dense = y.toarray() if sp.issparse(y) else y
        return weight * compute_sample_weight(self.class_weight, dense)

    def _strata(self, targets):
        if self._multilabel:
            return None
        return targets.values[targets.start] if len(self.classes_) <= 2 else targets.indices[
            targets.start
        ]

    def _validation_score(self, scores, targets, weight):
        truth = targets.to_csr().toarray()
        if not self._multilabel and len(self.classes_) > 2:
            return accuracy_score(truth.argmax(axis=1), scores.argmax(axis=1), sample_weight=weight)
        return accuracy_score(truth > 0, scores > 0, sample_weight=weight)

    def decision_function(self, X):
        """Raw scores: the inputs of the last softmax or logistic function.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) for two classes, else (n_samples, n_classes), float32
        """
        scores = self._scores(X)
        return scores if self._multilabel or scores.shape[1] > 1 else scores[:, 0]

    def predict_proba(self, X):
        """Probability of every class (they sum to 1), or of every label.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes), float64
        """
        scores = self._scores(X)
        proba = self._network.loss.predictions(scores)
        if self._multilabel or proba.shape[1] > 1:
            return proba
        return np.column_stack([1 - proba, proba])

    def predict_log_proba(self, X):
        """Logarithm of `predict_proba`."""
        return np.log(self.predict_proba(X))

    def predict(self, X):
        """Most likely class, or the labels likelier than not (a CSR or dense indicator, as fitted).

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,), or indicator matrix of shape (n_samples, n_labels)
        """
        scores = self._scores(X)
        if self._multilabel:
            return (scores > 0).astype(int)
        if scores.shape[1] == 1:
            return self.classes_[np.minimum(scores[:, 0] > 0, len(self.classes_) - 1).astype(int)]
        return self.classes_[scores.argmax(axis=1)]


class LSHMLPRegressor(RegressorMixin, BaseLSHMLP):
    """DOC"""

    _parameter_constraints = {
        **BaseLSHMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "poisson"})],
    }

    def __init__(
        self,
        hidden_layer_sizes=(1000,),
        activation="relu",
        *,
        loss="squared_error",
        solver="adam",
        alpha=0.0001,
        batch_size="auto",
        learning_rate="constant",
        learning_rate_init=0.001,
        power_t=0.5,
        max_iter=200,
        shuffle=True,
        random_state=None,
        tol=1e-4,
        verbose=False,
        warm_start=False,
        momentum=0.9,
        nesterovs_momentum=True,
        early_stopping=False,
        validation_fraction=0.1,
        beta_1=0.9,
        beta_2=0.999,
        epsilon=1e-8,
        n_iter_no_change=10,
        selector="auto",
        density=0.05,
        hash_function="simhash",
        n_hashes=6,
        n_tables=10,
        n_probes=10,
        n_candidates=None,
        sketch_size=32,
        asynchronous=False,
        n_threads=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.solver = solver
        self.alpha = alpha
        self.batch_size = batch_size
        self.learning_rate = learning_rate
        self.learning_rate_init = learning_rate_init
        self.power_t = power_t
        self.max_iter = max_iter
        self.shuffle = shuffle
        self.random_state = random_state
        self.tol = tol
        self.verbose = verbose
        self.warm_start = warm_start
        self.momentum = momentum
        self.nesterovs_momentum = nesterovs_momentum
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.beta_1 = beta_1
        self.beta_2 = beta_2
        self.epsilon = epsilon
        self.n_iter_no_change = n_iter_no_change
        self.selector = selector
        self.density = density
        self.hash_function = hash_function
        self.n_hashes = n_hashes
        self.n_tables = n_tables
        self.n_probes = n_probes
        self.n_candidates = n_candidates
        self.sketch_size = sketch_size
        self.asynchronous = asynchronous
        self.n_threads = n_threads

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y, sample_weight=None):
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to float32; CSR stays sparse.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; rows of weight zero are left out.

        Returns
        -------
        self : LSHMLPRegressor

        Raises
        ------
        ValueError
            A parameter out of range, data that are not finite, negative y under the Poisson loss,
            weights that are negative or all zero, or weights of the network that stopped being
            finite. The estimator is unchanged.
        """
        return self._fit(X, y, sample_weight)

    def partial_fit(self, X, y, sample_weight=None):
        """Train on the given rows once.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self : LSHMLPRegressor
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _encode(self, y, weight, cold, incremental, classes):
        y = np.asarray(y)
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError("y must not be negative under loss='poisson'.")
        if cold:
            self._one_output = y.ndim == 1
        targets = Rows.from_matrix(y.astype(np.float32).reshape(len(y), -1))
        return Loss(self.loss), targets, weight

    def _validation_score(self, scores, targets, weight):
        predicted = self._network.loss.predictions(scores)
        return r2_score(targets.to_matrix(), predicted, sample_weight=weight)

    def predict(self, X):
        """Predicted means.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs), float64
        """
        predicted = self._network.loss.predictions(self._scores(X))
        return predicted[:, 0] if self._one_output else predicted
