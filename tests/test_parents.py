"""What starts a fit and goes on around it: forks, threads, signals, many fits in a row."""

import gc
import multiprocessing
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest
from cases import X, Y, small
from threadpoolctl import ThreadpoolController, threadpool_limits

from sklearn_lsh import LSHMLPClassifier
from sklearn_lsh._blas import Limit, one_blas_thread

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning"),
]
LINUX_ONLY = pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="as Linux has it")


def scores(selector="lsh"):
    """Bits of a fit on two threads."""
    model = small(selector=selector, n_threads=2, max_iter=2).fit(X, Y)
    return model.decision_function(X).tobytes()


def send_scores(connection):
    connection.send(scores())


@LINUX_ONLY
def test_a_forked_process_fits_after_its_parent_has():
    expected = scores()
    fork = multiprocessing.get_context("fork")
    receive, send = fork.Pipe(duplex=False)
    child = fork.Process(target=send_scores, args=(send,))
    child.start()
    answered = receive.poll(60)
    found = receive.recv() if answered else None
    child.kill()
    assert answered, "waits for threads that its parent had"
    assert found == expected


@pytest.mark.parametrize("selector", ["dense", "topk", "sketch", "lsh"])
def test_eight_threads_predict_with_one_model(selector):
    model = small(selector=selector, n_threads=2).fit(X, Y)
    expected = model.decision_function(X).tobytes()
    with ThreadPoolExecutor(8) as pool:
        found = pool.map(lambda _: model.decision_function(X).tobytes(), range(16))
    assert set(found) == {expected}


def test_fits_in_threads_are_what_they_are_alone():
    selectors = ["topk", "sketch", "lsh"]
    expected = [scores(selector) for selector in selectors]
    with ThreadPoolExecutor(3) as pool:
        assert list(pool.map(scores, selectors)) == expected


def n_blas_threads():
    pools = ThreadpoolController().select(user_api="blas").info()
    return max((pool["num_threads"] for pool in pools), default=1)


OTHER = ThreadPoolExecutor(1)  # a thread that lives on keeps what it controls


def in_another_thread(function):
    return OTHER.submit(function).result()


@pytest.mark.parametrize("start", [lambda function: function(), in_another_thread])
@pytest.mark.parametrize("end", [lambda function: function(), in_another_thread])
def test_blas_is_held_and_let_go_whoever_asks(start, end):
    def limited():
        with threadpool_limits(1, user_api="blas"):
            return n_blas_threads()

    with threadpool_limits(3, user_api="blas"):
        before = n_blas_threads()
        held = one_blas_thread()
        start(held.__enter__)
        assert n_blas_threads() == in_another_thread(n_blas_threads) == 1
        end(lambda: held.__exit__(None, None, None))
        assert n_blas_threads() == before
    assert limited() == in_another_thread(limited) == 1


def test_the_last_of_several_fits_gives_blas_its_threads_back():
    with threadpool_limits(2, user_api="blas"), ExitStack() as last:
        before = n_blas_threads()
        with one_blas_thread():
            last.enter_context(one_blas_thread())
        assert n_blas_threads() == 1
        last.close()
        assert n_blas_threads() == before


def test_a_limit_that_is_left_twice_or_never_entered_holds_no_more():
    with threadpool_limits(2, user_api="blas"):
        limit = Limit()
        held = limit.held()
        held.__enter__()
        limit.__init__()  # as in a process that was forked within
        held.__exit__(None, None, None)
        with limit.held():
            assert n_blas_threads() == 1 and len(limit.holders) == 1
        assert not limit.holders


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no timers here")
@pytest.mark.parametrize("selector", ["dense", "sketch", "lsh"])
def test_a_signal_ends_training_and_leaves_a_model(selector):
    def interrupt(*_):
        raise KeyboardInterrupt

    model = small(selector=selector, max_iter=1, tol=0, n_iter_no_change=np.inf, warm_start=True)
    model.fit(X, Y).set_params(max_iter=10**9)
    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 1)
        with pytest.warns(UserWarning, match="interrupted"):
            model.fit(X, Y)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    proba = model.predict_proba(X)
    np.testing.assert_array_equal(proba, model.predict_proba(X))
    assert np.isfinite(model.set_params(max_iter=1).fit(X, Y).predict_proba(X)).all()


@LINUX_ONLY
def test_memory_does_not_grow_from_fit_to_fit():
    def resident():
        gc.collect()
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def rounds(n):
        for _ in range(n):
            model = LSHMLPClassifier((500,), selector="lsh", max_iter=1, random_state=0)
            model.fit(X[:50], Y[:50]).predict(X[:50])
            with pytest.raises(ValueError):
                model.fit(X[:50] * np.nan, Y[:50])

    rounds(20)
    before = resident()
    rounds(60)
    # The weights of 60 models take 8 MiB.
    assert resident() - before < 2**22
