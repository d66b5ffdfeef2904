/* OpenMP as the kernels use it, on POSIX threads that are made for every region and joined at its
 * end. ThreadSanitizer knows those; of GNU OpenMP's own barriers it sees nothing and reports races
 * where there are none. Nothing but the fork, the join and barriers orders two threads here, as in
 * the OpenMP standard: iterations are handed out by a relaxed counter. */
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct team {
    void (*body)(void *);
    void *data;
    unsigned n_threads;
    long handed_out;
    pthread_barrier_t barrier;
};

struct member {
    struct team *team;
    int number;
};

static __thread struct team *team;
static __thread int number;
static __thread int n_loops;
static __thread long first, last, step, chunk;

static void *member_runs(void *of) {
    struct member *self = of;
    team = self->team;
    number = self->number;
    n_loops = 0;
    team->body(team->data);
    return NULL;
}

void GOMP_parallel(void (*body)(void *), void *data, unsigned n_threads, unsigned flags) {
    (void)flags;
    if (team) abort(); /* the kernels nest no regions */
    if (!n_threads) abort();
    struct team own = {body, data, n_threads, 0, {{0}}};
    pthread_t *threads = malloc(n_threads * sizeof *threads);
    struct member *members = malloc(n_threads * sizeof *members);
    pthread_barrier_init(&own.barrier, NULL, n_threads);
    for (unsigned i = 0; i < n_threads; i++) members[i] = (struct member){&own, (int)i};
    for (unsigned i = 1; i < n_threads; i++)
        if (pthread_create(&threads[i], NULL, member_runs, &members[i])) abort();
    member_runs(&members[0]);
    for (unsigned i = 1; i < n_threads; i++) pthread_join(threads[i], NULL);
    pthread_barrier_destroy(&own.barrier);
    free(members);
    free(threads);
    team = NULL;
    number = 0;
}

void GOMP_barrier(void) {
    if (team) pthread_barrier_wait(&team->barrier);
}

bool GOMP_loop_nonmonotonic_dynamic_next(long *start, long *end) {
    long taken = __atomic_fetch_add(&team->handed_out, 1, __ATOMIC_RELAXED);
    *start = first + taken * chunk * step;
    *end = *start + chunk * step;
    if (step > 0 ? *end > last : *end < last) *end = last;
    return step > 0 ? *start < last : *start > last;
}

bool GOMP_loop_nonmonotonic_dynamic_start(long from, long to, long by, long size, long *start,
                                          long *end) {
    if (n_loops++) abort(); /* one loop a region */
    first = from, last = to, step = by, chunk = size;
    return GOMP_loop_nonmonotonic_dynamic_next(start, end);
}

void GOMP_loop_end_nowait(void) {}
void GOMP_loop_end(void) { GOMP_barrier(); }
int omp_get_thread_num(void) { return number; }
int omp_get_num_threads(void) { return team ? (int)team->n_threads : 1; }
int omp_get_max_threads(void) { return 2; }
