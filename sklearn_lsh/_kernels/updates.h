/* Gradient sums in double, optimiser steps in single precision. */
#ifndef SKLEARN_LSH_UPDATES_H
#define SKLEARN_LSH_UPDATES_H

#include "simd.h"

static inline int lsh_is_minus_zero(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == 1ull << 63;
}

/* sums[ids[k]] += a x[k]. Sums are -0.0 at first; adding +0.0 to every product makes that the mark
 * of an untouched entry, which is listed in `touched` as it is met. */
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
        sums[ids[k]] = sum + (a * x[k] + 0.0);
    }
    *n_touched = count;
})

/* sums += a x over the lines of a dense row, in double */
static void lsh_sum_base(double *sums, double a, const float *x, const int32_t *lines, int n_lines,
                         int n) {
    for (int t = 0; t < n_lines; t++)
        for (int k = lines[t]; k < lines[t] + LSH_LINE; k++) sums[k] += a * x[k];
    for (int k = n - n % LSH_LINE; k < n; k++) sums[k] += a * x[k];
}
#ifdef LSH_AVX2
LSH_AVX2 static void lsh_sum_avx2(double *sums, double a, const float *x, const int32_t *lines,
                                  int n_lines, int n) {
    const __m256d factor = _mm256_set1_pd(a);
    for (const int32_t *end = lines + n_lines, *line = lines; line < end; line++) {
        double *LSH_RESTRICT to = sums + *line;
        const float *LSH_RESTRICT from = x + *line;
        LSH_UNROLL
        for (int k = 0; k < LSH_LINE; k += 4)
            _mm256_storeu_pd(to + k, _mm256_fmadd_pd(factor, _mm256_cvtps_pd(_mm_loadu_ps(from + k)),
                                                     _mm256_loadu_pd(to + k)));
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

/* g = sums * scale; leaves -0.0 behind */
LSH_KERNEL(lsh_take_sums,
    (double *LSH_RESTRICT sums, double scale, float *LSH_RESTRICT g, int n), (sums, scale, g, n), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        g[k] = (float)(sums[k] * scale);
        sums[k] = -0.0;
    }
})

/* Optimiser steps; the gradient is g + decay w. */
LSH_KERNEL(lsh_adam,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT m, float *LSH_RESTRICT v,
     const float *LSH_RESTRICT g, int n, float decay, float rate, float beta1, float beta2,
     float epsilon),
    (w, m, v, g, n, decay, rate, beta1, beta2, epsilon), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = g[k] + decay * w[k];
        m[k] = beta1 * m[k] + (1 - beta1) * gk;
        v[k] = beta2 * v[k] + (1 - beta2) * gk * gk;
        w[k] -= rate * m[k] / (sqrtf(v[k]) + epsilon);
    }
})

LSH_KERNEL(lsh_sgd,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT m, const float *LSH_RESTRICT g, int n, float decay,
     float rate, float momentum, int nesterov),
    (w, m, g, n, decay, rate, momentum, nesterov), {
    const float ahead = nesterov ? momentum : 1, now = nesterov ? rate : 0;
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = g[k] + decay * w[k];
        m[k] = momentum * m[k] - rate * gk;
        w[k] += ahead * m[k] - now * gk;
    }
})

LSH_KERNEL(lsh_adagrad,
    (float *LSH_RESTRICT w, float *LSH_RESTRICT v, const float *LSH_RESTRICT g, int n, float decay,
     float rate, float epsilon),
    (w, v, g, n, decay, rate, epsilon), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = g[k] + decay * w[k];
        v[k] += gk * gk;
        w[k] -= rate * gk / (sqrtf(v[k]) + epsilon);
    }
})
#endif
