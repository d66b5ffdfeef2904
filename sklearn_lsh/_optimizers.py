"""Optimizers: hyperparameters and the count of steps; the arithmetic is in the kernels."""


class Optimizer:
    """A lazy step rule: entries (neuron, input) active in one example move, and their moments.

    Attributes
    ----------
    kind : int
        Code of the kernel.
    n_slots : int
        Arrays of state shaped like the weights.
    n_multiplications : int
        Multiplications, divisions and square roots a touched entry costs.
    t : int
        Steps taken.
    """

    kind: int
    n_slots = 1
    n_multiplications = 6
    beta1 = 0.0
    beta2 = 0.0
    nesterov = False

    def __init__(self, learning_rate, epsilon=1e-8):
        self.learning_rate = learning_rate
        self.epsilon = epsilon
        self.t = 0


class Adam(Optimizer):
    """Kingma & Ba (2015); the moments of an entry decay only when it is touched."""

    kind, n_slots, n_multiplications = 0, 2, 10

    def __init__(self, learning_rate, beta_1, beta_2, epsilon):
        super().__init__(learning_rate, epsilon)
        self.beta1 = beta_1
        self.beta2 = beta_2


class SGD(Optimizer):
    """Momentum, Nesterov's by default, as scikit-learn's."""

    kind = 1

    def __init__(self, learning_rate, momentum, nesterov):
        super().__init__(learning_rate)
        self.beta1 = momentum
        self.nesterov = nesterov

    @property
    def n_slots(self):
        return int(self.beta1 > 0)


class Adagrad(Optimizer):
    """Duchi, Hazan & Singer (2011); the paper's choice for asynchronous training."""

    kind = 2
