"""The regressor: scikit-learn's contract, outputs and predictions."""

from numbers import Real
from typing import ClassVar

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.utils._param_validation import Interval, StrOptions

from sklearn_lsh._base import BaseLSHMLP
from sklearn_lsh._losses import Loss
from sklearn_lsh._rows import Rows


class LSHMLPRegressor(RegressorMixin, BaseLSHMLP):
    """Regressor that computes only the neurons it needs: a multilayer perceptron.

    In every hidden layer only a share of the neurons, picked for each row by a selector, takes
    part in prediction and in training. Parameters are those of scikit-learn's `MLPRegressor`
    where the meaning is the same. Targets may have several outputs.

    Parameters
    ----------
    hidden_layer_sizes : int or array-like of int, default=(1000,)
        Number of neurons of every hidden layer.
    activation : {'relu', 'leaky_relu', 'tanh', 'logistic', 'identity'} or list, default='relu'
        Activation of the hidden layers; a list has one name per hidden layer. The slope of
        'leaky_relu' below zero is 0.01. Active are the neurons of largest pre-activation, for
        'tanh' and 'identity', which respond to both signs, those of largest absolute value.
    loss : {'squared_error', 'huber', 'absolute_error', 'poisson'}, default='squared_error'
        'squared_error': half the squared error. 'huber': that of errors up to `delta`, and beyond a
        line of slope `delta`. 'absolute_error': the absolute error; the slope at 0, where it has
        none, is taken to be 0. 'poisson': half the Poisson deviance, with the exponential of the
        raw scores as means; y must not be negative. Of several outputs steps follow the sum, and
        `loss_` reports it, but the mean for 'squared_error', as scikit-learn's MLP does.
    delta : float, default=1.0
        Error from which on 'huber' is linear, in units of y.
    solver : {'adam', 'sgd', 'adagrad'}, default='adam'
        Rule of the steps. All are lazy where few neurons are active: see Notes.
    alpha : float, default=0.0001
        Strength of the L2 penalty on weights; biases are not penalised. See Notes for how it is
        applied.
    batch_size : int or 'auto', default='auto'
        Rows per step; 'auto' is min(200, n_samples).
    learning_rate : {'constant', 'invscaling', 'adaptive', 'linear'}, default='constant'
        'linear', for every solver: `learning_rate_init * (1 - i / max_iter)` in epoch i, counted
        from 0. Training then takes all of `max_iter` epochs, with `early_stopping` too, which
        keeps the weights of the best; `partial_fit`, which knows no last epoch, keeps to
        `learning_rate_init`.
        The others, only used by 'sgd': 'invscaling', `learning_rate_init / (t_ + 1) ** power_t`
        after every epoch; 'adaptive', divided by 5 whenever training would otherwise stop, down
        to 1e-6.
    learning_rate_init : float, default=0.001
        Step size at the start.
    power_t : float, default=0.5
        Exponent of 'invscaling'.
    max_iter : int, default=200
        Largest number of epochs, passes over the training rows, of a call of `fit`.
    shuffle : bool, default=True
        Whether to draw a new order of the rows for every epoch.
    random_state : int, RandomState instance or None, default=None
        Draws the initial weights, the validation rows and the order of the rows, as in
        scikit-learn's MLP. Hash functions are fixed and not drawn from it.
    tol : float, default=1e-4
        Improvement of the loss, or of the validation score under early stopping, that counts.
    verbose : bool or int, default=False
        Whether to print the loss of every epoch, and loss and score of the rows that are watched.
    warm_start : bool, default=False
        Whether `fit` goes on from the present weights and state of the solver; from weights of an
        earlier epoch, which early stopping has put back, with a new state.
        `hidden_layer_sizes`, `activation`, `solver`, `loss`, `selector`, `density`, `sketch_size`,
        the parameters of hash tables and of sampled outputs cannot change then, nor between calls
        of `partial_fit`.
    momentum : float, default=0.9
        Momentum of 'sgd', in [0, 1].
    nesterovs_momentum : bool, default=True
        Whether the momentum of 'sgd' is Nesterov's.
    early_stopping : bool, default=False
        Whether to hold out rows (or to take `X_val` of `fit`), to score them after every epoch, to
        stop when the score no longer improves and to keep the weights of the best epoch.
    validation_fraction : float, default=0.1
        Share of the rows held out by early stopping, in [0, 1).
    scoring : str, callable or None, default=None
        Score of the rows held out or passed as `X_val`; the larger, the better.

        - None: R2.
        - 'loss': the negative of the validation loss.
        - another str: a scorer of scikit-learn, which is passed the rows' sample weights if there
          are any.
        - callable: ``scoring(estimator, X, y)``, a number; the estimator is this one, as far as it
          has been trained, X and y are rows of what was passed to `fit`.
    beta_1 : float, default=0.9
        Decay of Adam's first moment, in [0, 1).
    beta_2 : float, default=0.999
        Decay of Adam's second moment, in [0, 1).
    epsilon : float, default=1e-8
        Added to the denominator of 'adam' and 'adagrad'.
    n_iter_no_change : int, default=10
        Epochs without improvement that are tolerated.
    selector : {'auto', 'lsh', 'sketch', 'topk', 'dense', 'dropout', 'adaptive_dropout'} or list, \
            default='auto'
        How a hidden layer finds its active neurons; a list has one name per hidden layer.

        - 'dense': all neurons, as an ordinary network does.
        - 'topk': the largest pre-activations, found by computing all of them. Saves work only in
          backward pass, update and the layers above; the oracle of the others.
        - 'sketch': the largest pre-activations of a shortlist, which is half as many neurons more
          (as many more above a layer that selects), those of the largest low-rank approximations.
        - 'lsh': candidates come out of hash tables of the neurons; the shortlist is of those among
          them. A first layer over CSR data has none: the best approximations are kept.
          Inputs should be of the order of 1: of larger ones it misses more, for biases are hashed
          with the weights.
        - 'auto': of 'dense', 'topk', 'sketch' and 'lsh' the one of least time times
          multiplications, by a model of both; its tables are k-means cells sized by the layer,
          whatever `hash_function`, `n_hashes`, `n_tables`, `n_probes` and `mips` say. Where so
          many are to be active that lists take longer than all of them, 'dense': see Notes.
        - 'dropout', 'adaptive_dropout': for comparison, random neurons in training, uniformly or
          the likelier, the larger their pre-activation [10]_; all of them at prediction, each times
          its chance of being kept.

        A layer whose `density` keeps every neuron is dense whatever its selector.
    density : float or list of float, default=0.05
        Share of each hidden layer's neurons that are active per row, in (0, 1].
    hash_function : {'simhash', 'sparse_simhash', 'wta', 'cross_polytope', 'kmeans'}, \
            default='simhash'
        Family of the hash functions of 'lsh'.

        - 'simhash': the sign of a Gaussian projection [2]_; 2 values.
        - 'sparse_simhash': the sign of a sum over few coordinates, each with a random sign [6]_; 2
          values. Cheaper than 'simhash' where the weights themselves are hashed.
        - 'wta': the largest of eight random coordinates (winner take all) [7]_; 8 values.
        - 'cross_polytope': the largest in absolute value of eight Gaussian projections, and its
          sign [8]_; 16 values.
        - 'kmeans': the nearest of 32 centroids of the layer's neurons; 32 values.
    n_hashes : int, default=6
        Hash functions per table (K), 1 to 30; a table has values ** n_hashes buckets, 2 ** 30 at
        most.
    n_tables : int, default=10
        Number of hash tables (L).
    n_probes : int, default=10
        Buckets looked up per table, the likeliest first [3]_; 65536 at most.
    n_candidates : int or None, default=None
        Most neurons that 'lsh' scores per row; None is 8 times the number of active ones. A row
        whose buckets hold fewer than are to be active has fewer (`inspection.active_sets` tells).
    mips : bool, default=False
        Whether 'lsh' hashes neurons with one coordinate more, which makes all norms equal: the
        closest in angle to an input then are those of largest pre-activation, not merely those that
        point its way (maximum inner product search) [9]_.
    sketch_size : int or None, default=28
        Directions of a layer's inputs (r) in which 'sketch' scores and 'lsh' hashes and scores
        neurons. They follow the data as training goes on. None, or half as many as the layer has
        inputs or neurons: 'lsh' hashes the weights themselves and scores exactly, as in [1]_, and
        'sketch' is 'topk'.
    asynchronous : bool, default=False
        Whether threads train on batches of their own, without locks; rows one by one
        (`batch_size=1`) in [5]_ and [1]_. The result then depends on timing, unless `n_threads=1`.
    n_threads : int or None, default=None
        OpenMP threads. None: as many as there are processors for this process, or one where a
        batch is too small to share; -1: one per processor; 1024 at most. A process that was forked
        after the import of this package always uses one.
    checkpoint : str, path-like or None, default=None
        A file that `fit` writes before its first epoch and after every one but the last, and
        removes when it ends. Where it is there already, `fit` goes on from it, to the same result
        as if nothing had stopped it (unless `asynchronous`); a file of other parameters, other data
        or, under `warm_start`, other weights to begin with is refused. One for every fit: not for
        searches, which fit several.

    Attributes
    ----------
    coefs_ : list of ndarray of shape (n_in, n_out), float32
        Weights of every layer, the output last; views of the model's own arrays, until it is
        trained again. Training numbers hidden neurons anew where weights are more than a cache
        holds.
    intercepts_ : list of ndarray of shape (n_out,), float32
        Biases of every layer.
    loss_ : float
        Mean loss of the last epoch, penalty included.
    best_loss_ : float or None
        Smallest entry of `loss_curve_`; None under early stopping.
    loss_curve_ : list of float
        `loss_` after every epoch since the weights were drawn.
    validation_loss_curve_ : list of float or None
        Mean loss of the rows held out or passed as `X_val` after every epoch with such rows, the
        penalty left out; None if there were none.
    validation_scores_ : list of float or None
        Their score, by `scoring`.
    best_validation_score_ : float or None
        Largest entry of `validation_scores_`.
    n_iter_ : int
        Epochs of the last call of `fit` or `partial_fit`.
    t_ : int
        Training rows times epochs since the weights were drawn.
    n_layers_ : int
        Number of layers, inputs and outputs included.
    n_outputs_ : int
        Number of raw scores per row.
    out_activation_ : {'identity', 'exp'}
        What turns raw scores into predictions.
    n_features_in_ : int
        Number of features seen in `fit`.
    feature_names_in_ : ndarray of shape (n_features_in_,), object
        Names of the features, if X had names that are all strings.
    n_multiplications_ : dict of str to int
        Multiplications of training since the weights were drawn; divisions and square roots count
        as one each. Scoring held-out rows and predicting are not in it.

        - 'forward': stored entries of a hidden layer's input times its active neurons, summed over
          the rows (in a dense input every entry is stored); of whole matrices (see Notes) all.
        - 'backward': the same products, for hidden layers above the first.
        - 'update': the same products, for the gradient, plus 10 ('adam') or 6 per touched weight
          for the step.
        - 'hashing': coordinates and hash values of the inputs.
        - 'ranking': scores of the neurons that were compared, and pre-activations of those
          shortlisted and not kept; for 'sketch', coordinates of the inputs as well.
        - 'refresh': following the inputs' directions and bringing neurons' coordinates and hash
          values up to date with the weights.
        - 'output': forward, backward and update of the output layer.
        - 'dense': what the same steps would have cost with every neuron active; not part of
          the sum of the others.

    See Also
    --------
    LSHMLPClassifier : The same network for classification.
    sklearn.neural_network.MLPRegressor : A network that computes every neuron.

    Notes
    -----
    A neuron that is not active outputs 0 and passes no gradient. The active set depends on the
    model and on the row alone, not on the batch, and is found in prediction as in training.

    **Lazy updates.** A step moves only the weights it touched: those between a neuron and an input
    that were active, or stored, in the same row of the batch. A dense row stores its entries by
    lines of 8 columns, but for lines that are zero throughout; a CSR row those it lists. Weights
    that were not touched keep their value and the solver's moments, and are not penalised. The
    gradient of a touched weight is (sum of s_i * slope_i + `alpha` * w) / sum of s_i over the
    batch, s_i being the weight of row i, so one step decays it by `alpha` / sum of the batch's
    weights. Asynchronous steps put the number of the batch's rows times the mean weight of all rows
    in the place of that sum. `loss_` counts the penalty of all weights.

    **Whole matrices.** Layers of 64 inputs and neurons or more, of whose weights a row uses a
    fifth (above a layer that selects, a twenty-fifth), are multiplied as whole matrices, which
    takes less time than lists: dense layers, and high densities. Multiplications count in full,
    and in batches of 64 rows and more every weight is touched by every step. 'topk' and
    'adaptive_dropout' have all pre-activations from such products. Not over CSR data.

    **Determinism.** The same data, parameters and integer `random_state` give the same bits on the
    same machine with any `n_threads`, unless `asynchronous=True`. Other machines or versions of
    NumPy may round differently, and a decision between two close neurons may then fall otherwise.

    **Callbacks.** With scikit-learn 1.9 or later `set_callbacks` takes its callbacks (progress
    bars, scoring monitors). They hear of every epoch and may stop training; a model that they are
    shown is a copy as if training had ended with that epoch, without going back to the best
    weights.

    X is converted to float32, dense or CSR; parameters are float32, gradients are summed in
    float64.

    References
    ----------
    .. [1] R. Spring, A. Shrivastava. "Scalable and Sustainable Deep Learning via Randomized
       Hashing". KDD 2017. arXiv:1602.08194.
    .. [2] M. Charikar. "Similarity Estimation Techniques from Rounding Algorithms". STOC 2002.
    .. [3] Q. Lv, W. Josephson, Z. Wang, M. Charikar, K. Li. "Multi-Probe LSH: Efficient Indexing
       for High-Dimensional Similarity Search". VLDB 2007.
    .. [4] D. P. Kingma, J. Ba. "Adam: A Method for Stochastic Optimization". ICLR 2015.
       arXiv:1412.6980.
    .. [5] B. Recht, C. Re, S. Wright, F. Niu. "Hogwild!: A Lock-Free Approach to Parallelizing
       Stochastic Gradient Descent". NeurIPS 2011.
    .. [6] P. Li, T. Hastie, K. Church. "Very Sparse Random Projections". KDD 2006.
    .. [7] J. Yagnik, D. Strelow, D. Ross, R. Lin. "The Power of Comparative Reasoning". ICCV 2011.
    .. [8] A. Andoni, P. Indyk, T. Laarhoven, I. Razenshteyn, L. Schmidt. "Practical and Optimal LSH
       for Angular Distance". NeurIPS 2015. arXiv:1509.02897.
    .. [9] B. Neyshabur, N. Srebro. "On Symmetric and Asymmetric LSHs for Inner Product Search".
       ICML 2015. arXiv:1410.5518.
    .. [10] J. Ba, B. Frey. "Adaptive Dropout for Training Deep Neural Networks". NeurIPS 2013.

    Examples
    --------
    >>> from sklearn.datasets import make_friedman1
    >>> from sklearn.preprocessing import scale
    >>> from sklearn_lsh import LSHMLPRegressor
    >>> X, y = make_friedman1(1200, random_state=0)
    >>> X, y = scale(X), scale(y)
    >>> model = LSHMLPRegressor((300,), selector="topk", density=0.2, max_iter=50,
    ...                         learning_rate_init=0.01, random_state=0)
    >>> _ = model.fit(X[:1000], y[:1000])
    >>> model.score(X[1000:], y[1000:]) > 0.9
    True
    """

    _parameter_constraints: ClassVar[dict] = {
        **BaseLSHMLP._parameter_constraints,
        "loss": [StrOptions({"squared_error", "huber", "absolute_error", "poisson"})],
        "delta": [Interval(Real, 0, None, closed="neither")],
    }

    def __init__(
        self,
        hidden_layer_sizes=(1000,),
        activation="relu",
        *,
        loss="squared_error",
        delta=1.0,
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
        scoring=None,
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
        mips=False,
        sketch_size=28,
        asynchronous=False,
        n_threads=None,
        checkpoint=None,
    ):
        self.hidden_layer_sizes = hidden_layer_sizes
        self.activation = activation
        self.loss = loss
        self.delta = delta
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
        self.scoring = scoring
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
        self.mips = mips
        self.sketch_size = sketch_size
        self.asynchronous = asynchronous
        self.n_threads = n_threads
        self.checkpoint = checkpoint

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X, y, sample_weight=None, *, X_val=None, y_val=None, sample_weight_val=None):
        """Fit the network.

        Parameters
        ----------
        X : {array-like, sparse matrix} of shape (n_samples, n_features)
            Converted to float32; CSR stays sparse.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights; rows of weight zero are left out.
        X_val : {array-like, sparse matrix} of shape (n_val, n_features), default=None
            Rows to watch, which are not trained on. They are scored after every epoch (`scoring`,
            `validation_scores_`, `validation_loss_curve_`). With `early_stopping` they decide when
            to stop and which weights to keep, in place of rows split off X; without, they change
            nothing. In a pipeline they are transformed as X is with ``transform_input=["X_val"]``.
        y_val : array-like of shape (n_val,) or (n_val, n_outputs), default=None
            Their targets.
        sample_weight_val : array-like of shape (n_val,), default=None
            Non-negative weights of the rows of X_val.

        Returns
        -------
        self : LSHMLPRegressor

        Raises
        ------
        ValueError
            A parameter out of range, data that are not finite, negative y under the Poisson loss,
            sample weights that are negative or all zero, X_val without y_val or the other way
            round: the estimator is unchanged. Also when the network's own weights stop being
            finite; under `warm_start` they are then lost.
        """
        return self._fit(X, y, sample_weight, (X_val, y_val, sample_weight_val))

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

        Raises
        ------
        ValueError
            As in `fit`; early stopping. When the network's own weights stop being finite, they are
            lost.
        """
        return self._fit(X, y, sample_weight, incremental=True)

    def _encode(self, y, weight, cold, incremental, classes):
        y = np.asarray(y)
        if self.loss == "poisson" and np.any(y < 0):
            raise ValueError("y must not be negative under loss='poisson'.")
        if cold:
            self._one_output = y.ndim == 1
        targets = Rows.from_matrix(y.astype(np.float32).reshape(len(y), -1))
        return Loss(self.loss, self.delta), targets, weight

    def _to_score(self, scores):
        return self._network.loss.predictions(scores)

    def _score(self, targets, predicted, weight):
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
        scores = self._scores(self._rows(X))
        predicted = self._network.loss.predictions(scores)
        return predicted[:, 0] if self._one_output else predicted
