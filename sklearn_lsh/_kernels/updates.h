/* Gradient sums in double, optimiser steps in single precision. */
#ifndef SKLEARN_LSH_UPDATES_H
#define SKLEARN_LSH_UPDATES_H

#include "simd.h"

/* Sums are -0.0 at first. Adding +0.0 after every product makes that the mark of an untouched one, even
 * where products, or sums that cancel, count as a negative zero. */
static inline int lsh_is_minus_zero(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == 1ull << 63;
}

/* sums[ids[k]] += a x[k]; untouched entries are listed in `touched` as they are met */
LSH_KERNEL(lsh_scatter,
    (double *LSH_RESTRICT sums, double a, const int32_t *LSH_RESTRICT ids,
     const float *LSH_RESTRICT x, int n, int32_t *LSH_RESTRICT touched,
     int *LSH_RESTRICT n_touched),
    (sums, a, ids, x, n, touched, n_touched), {
    int count = *n_touched;
    for (int k = 0; k < n; k++) {
        const double sum = sums[ids[k]];
        touched[count] = ids[k];
        count += lsh_is_minus_zero(sum);
        sums[ids[k]] = (sum + a * x[k]) + 0.0;
    }
    *n_touched = count;
})

/* sums += a x, a dense row by lines, in double */
static void lsh_sum_base(double *sums, double a, const float *x, const int32_t *lines, int n_lines,
                         int n) {
    for (int t = 0; t < n_lines; t++)
        for (int k = lines[t]; k < lines[t] + LSH_LINE; k++) sums[k] = (sums[k] + a * *x++) + 0.0;
    for (int k = LSH_TAIL(n); k < n; k++) sums[k] = (sums[k] + a * *x++) + 0.0;
}
#ifdef LSH_AVX2
LSH_AVX2 static void lsh_sum_avx2(double *sums, double a, const float *x, const int32_t *lines,
                                  int n_lines, int n) {
    const __m256d factor = _mm256_set1_pd(a), zero = _mm256_setzero_pd();
    for (const int32_t *end = lines + n_lines, *line = lines; line < end; line++, x += LSH_LINE) {
        double *LSH_RESTRICT to = sums + *line;
        LSH_UNROLL
        for (int k = 0; k < LSH_LINE; k += 4)
            _mm256_storeu_pd(to + k, _mm256_add_pd(
                _mm256_fmadd_pd(factor, _mm256_cvtps_pd(_mm_loadu_ps(x + k)),
                                _mm256_loadu_pd(to + k)), zero));
    }
    lsh_sum_base(sums, a, x, lines, 0, n);
}
#endif
static inline void lsh_sum(double *sums, double a, const float *x, const int32_t *lines,
                           int n_lines, int n) {
#ifdef LSH_AVX2
    if (lsh_avx2) { lsh_sum_avx2(sums, a, x, lines, n_lines, n); return; }
#endif
    lsh_sum_base(sums, a, x, lines, n_lines, n);
}

/* g = the lines of sums * scale that were touched, and their list; leaves -0.0 behind */
LSH_KERNEL(lsh_take_sums,
    (double *LSH_RESTRICT sums, double scale, int n, float *LSH_RESTRICT g,
     int32_t *LSH_RESTRICT lines, int *LSH_RESTRICT n_lines),
    (sums, scale, n, g, lines, n_lines), {
    int count = 0;
    for (int64_t first = 0; first < LSH_TAIL(n); first += LSH_LINE) {
        const int untouched = lsh_is_minus_zero(sums[first]);
        float *LSH_RESTRICT to = g + LSH_LINE * (int64_t)count;
        LSH_SIMD(omp simd)
        for (int k = 0; k < LSH_LINE; k++) {
            to[k] = (float)(sums[first + k] * scale);
            sums[first + k] = -0.0;
        }
        lines[count] = first;
        count += !untouched;
    }
    for (int k = LSH_TAIL(n); k < n; k++) {
        g[LSH_LINE * count + k - LSH_TAIL(n)] = (float)(sums[k] * scale);
        sums[k] = -0.0;
    }
    *n_lines = count;
})

/* g = a x scale: the gradient of a single row */
LSH_KERNEL(lsh_scaled,
    (double a, double scale, const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT g),
    (a, scale, x, n, g), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) g[k] = (float)(a * x[k] * scale);
})

/* Optimiser steps of a row whose gradient is g + decay w. g is given by lines; w and the optimiser's
 * state are whole rows, or, where `lines` is NULL, laid out as g is. */
#define LSH_STEP(...)                                                                             \
    for (int t = 0; t < n_lines; t++, g += LSH_LINE) {                                            \
        const int64_t at = lines ? lines[t] : LSH_LINE * t;                                       \
        LSH_SIMD(omp simd)                                                                        \
        for (int i = 0; i < LSH_LINE; i++) {                                                      \
            const int64_t k = at + i;                                                             \
            const float gk = g[i] + decay * w[k];                                                 \
            __VA_ARGS__                                                                           \
        }                                                                                         \
    }                                                                                             \
    for (int64_t k = LSH_TAIL(n); k < n; k++) {                                                   \
        const float gk = g[k - LSH_TAIL(n)] + decay * w[k];                                       \
        __VA_ARGS__                                                                               \
    }

LSH_KERNEL(lsh_adam,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT m, float *LSH_RESTRICT v,
     const float *LSH_RESTRICT g, const int32_t *LSH_RESTRICT lines, int n_lines, int n, float decay,
     float rate, float beta1, float beta2, float epsilon),
    (w, m, v, g, lines, n_lines, n, decay, rate, beta1, beta2, epsilon), {
    LSH_STEP(
        m[k] = beta1 * m[k] + (1 - beta1) * gk;
        v[k] = beta2 * v[k] + (1 - beta2) * gk * gk;
        w[k] -= rate * m[k] / (sqrtf(v[k]) + epsilon);
    )
})

/* m : NULL without momentum */
LSH_KERNEL(lsh_sgd,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT m, const float *LSH_RESTRICT g,
     const int32_t *LSH_RESTRICT lines, int n_lines, int n, float decay, float rate, float momentum,
     int nesterov),
    (w, m, g, lines, n_lines, n, decay, rate, momentum, nesterov), {
    const float ahead = nesterov ? momentum : 1, now = nesterov ? rate : 0;
    if (!m) {
        LSH_STEP(w[k] -= rate * gk;)
    } else {
        LSH_STEP(
            m[k] = momentum * m[k] - rate * gk;
            w[k] += ahead * m[k] - now * gk;
        )
    }
})

LSH_KERNEL(lsh_adagrad,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT v, const float *LSH_RESTRICT g,
     const int32_t *LSH_RESTRICT lines, int n_lines, int n, float decay, float rate, float epsilon),
    (w, v, g, lines, n_lines, n, decay, rate, epsilon), {
    LSH_STEP(
        v[k] += gk * gk;
        w[k] -= rate * gk / (sqrtf(v[k]) + epsilon);
    )
})
#endif
