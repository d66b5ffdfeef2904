/* What Cython cannot say: vector loops, compiled twice (AVX2 + FMA and the compiler's baseline)
 * and chosen at run time. Each body is plain C, so any compiler can build it. */
#ifndef SKLEARN_LSH_SIMD_H
#define SKLEARN_LSH_SIMD_H

#include <math.h>
#include <stdint.h>

#if defined(__GNUC__)
#define LSH_SIMD(clauses) _Pragma(#clauses)
#define LSH_RESTRICT __restrict__
#define LSH_LOWEST_BIT(word) __builtin_ctzll(word)
#else
#define LSH_SIMD(clauses)
#define LSH_RESTRICT __restrict
static inline int LSH_LOWEST_BIT(uint64_t word) {
    int bit = 0;
    while (!(word >> bit & 1)) bit++;
    return bit;
}
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define LSH_AVX2 __attribute__((target("avx2,fma")))
static int lsh_avx2 = 0;
static void lsh_detect(void) {
    __builtin_cpu_init();
    lsh_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}
/* One body, two functions, one branch that is always predicted. */
#define LSH_KERNEL(name, params, args, ...)                                                   \
    LSH_AVX2 static void name##_avx2 params __VA_ARGS__                                       \
    static void name##_base params __VA_ARGS__                                                \
    static inline void name params { if (lsh_avx2) name##_avx2 args; else name##_base args; }
#else
static void lsh_detect(void) {}
#define LSH_KERNEL(name, params, args, ...) static inline void name params __VA_ARGS__
#endif

/* out[t] = <w[t], x>, t = 0..3. A lone dot product repeats its row, so that the bits of a result do
 * not depend on how neurons were grouped. */
LSH_KERNEL(lsh_dot4,
    (const float *LSH_RESTRICT w0, const float *LSH_RESTRICT w1, const float *LSH_RESTRICT w2,
     const float *LSH_RESTRICT w3, const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT out),
    (w0, w1, w2, w3, x, n, out), {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    LSH_SIMD(omp simd reduction(+ : s0, s1, s2, s3))
    for (int k = 0; k < n; k++) {
        s0 += w0[k] * x[k]; s1 += w1[k] * x[k]; s2 += w2[k] * x[k]; s3 += w3[k] * x[k];
    }
    out[0] = s0; out[1] = s1; out[2] = s2; out[3] = s3;
})

/* out += a x */
LSH_KERNEL(lsh_axpy, (float *LSH_RESTRICT out, float a, const float *LSH_RESTRICT x, int n),
    (out, a, x, n), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) out[k] += a * x[k];
})

/* g += d[0] x0 + ... + d[3] x3 in double: one pass over g serves four examples */
LSH_KERNEL(lsh_axpy4,
    (double *LSH_RESTRICT g, const double *LSH_RESTRICT d, const float *LSH_RESTRICT x0,
     const float *LSH_RESTRICT x1, const float *LSH_RESTRICT x2, const float *LSH_RESTRICT x3, int n),
    (g, d, x0, x1, x2, x3, n), {
    const double d0 = d[0], d1 = d[1], d2 = d[2], d3 = d[3];
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) g[k] += d0 * x0[k] + d1 * x1[k] + d2 * x2[k] + d3 * x3[k];
})

/* The same for one example */
LSH_KERNEL(lsh_axpy1, (double *LSH_RESTRICT g, double d, const float *LSH_RESTRICT x, int n),
    (g, d, x, n), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) g[k] += d * x[k];
})

/* out[t] = start[t] + sum_k q[k] panel[64 k + t], t = 0..63: 64 neurons scored from registers */
LSH_KERNEL(lsh_score64,
    (const float *LSH_RESTRICT panel, const float *LSH_RESTRICT q, int r,
     const float *LSH_RESTRICT start, float *LSH_RESTRICT out),
    (panel, q, r, start, out), {
    float sum[64];
    for (int t = 0; t < 64; t++) sum[t] = start[t];
    for (int k = 0; k < r; k++, panel += 64) {
        const float a = q[k];
        LSH_SIMD(omp simd)
        for (int t = 0; t < 64; t++) sum[t] += a * panel[t];
    }
    for (int t = 0; t < 64; t++) out[t] = sum[t];
})

/* range[0], range[1] = min, max */
LSH_KERNEL(lsh_range, (const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT range), (x, n, range), {
    float low = x[0], high = x[0];
    LSH_SIMD(omp simd reduction(min : low) reduction(max : high))
    for (int k = 0; k < n; k++) {
        low = x[k] < low ? x[k] : low;
        high = x[k] > high ? x[k] : high;
    }
    range[0] = low; range[1] = high;
})

/* bins[k] = place of x[k] among 256 equal steps from low; whatever is outside goes to the ends */
LSH_KERNEL(lsh_bins,
    (const float *LSH_RESTRICT x, int n, float low, float scale, uint8_t *LSH_RESTRICT bins),
    (x, n, low, scale, bins), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        float place = (x[k] - low) * scale;
        place = place < 255 ? place : 255;
        bins[k] = (uint8_t)(int)(place > 0 ? place : 0);
    }
})

/* Bit k of above: bins[k] > target; bit k of edge: bins[k] == target. Whole words of 64. */
static void lsh_masks_base(const uint8_t *bins, int n_words, int target, uint64_t *above,
                           uint64_t *edge) {
    for (int w = 0; w < n_words; w++) {
        uint64_t a = 0, e = 0;
        for (int k = 0; k < 64; k++) {
            a |= (uint64_t)(bins[64 * w + k] > target) << k;
            e |= (uint64_t)(bins[64 * w + k] == target) << k;
        }
        above[w] = a; edge[w] = e;
    }
}
#ifdef LSH_AVX2
LSH_AVX2 static void lsh_masks_avx2(const uint8_t *bins, int n_words, int target, uint64_t *above,
                                    uint64_t *edge) {
    const __m256i t = _mm256_set1_epi8((char)target);
    for (int w = 0; w < n_words; w++) {
        uint64_t ge[2], eq[2];
        for (int h = 0; h < 2; h++) {
            const __m256i b = _mm256_loadu_si256((const __m256i *)(bins + 64 * w + 32 * h));
            ge[h] = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(_mm256_max_epu8(b, t), b));
            eq[h] = (uint32_t)_mm256_movemask_epi8(_mm256_cmpeq_epi8(b, t));
        }
        edge[w] = eq[0] | eq[1] << 32;
        above[w] = (ge[0] | ge[1] << 32) & ~edge[w];
    }
}
#endif
static inline void lsh_masks(const uint8_t *bins, int n_words, int target, uint64_t *above,
                             uint64_t *edge) {
#ifdef LSH_AVX2
    if (lsh_avx2) { lsh_masks_avx2(bins, n_words, target, above, edge); return; }
#endif
    lsh_masks_base(bins, n_words, target, above, edge);
}

/* q[0..r) = sum over the non-zero x[k] of x[k] * rows[id_k * r + 0..r); returns their number */
LSH_KERNEL(lsh_project,
    (const float *LSH_RESTRICT x, const int32_t *LSH_RESTRICT ids, int n,
     const float *LSH_RESTRICT rows, int r, float *LSH_RESTRICT q, int *LSH_RESTRICT used),
    (x, ids, n, rows, r, q, used), {
    int count = 0, t = 0;
    for (int k = 0; k < n; k++) count += x[k] != 0;
    for (; t + 32 <= r; t += 32) {
        float sum[32] = {0};
        for (int k = 0; k < n; k++) {
            const float a = x[k];
            const float *LSH_RESTRICT row = rows + (int64_t)(ids ? ids[k] : k) * r + t;
            if (a == 0) continue;
            LSH_SIMD(omp simd)
            for (int c = 0; c < 32; c++) sum[c] += a * row[c];
        }
        for (int c = 0; c < 32; c++) q[t + c] = sum[c];
    }
    for (int c = t; c < r; c++) q[c] = 0;
    for (int k = 0; k < n && t < r; k++) {
        const float *LSH_RESTRICT row = rows + (int64_t)(ids ? ids[k] : k) * r;
        if (x[k] == 0) continue;
        for (int c = t; c < r; c++) q[c] += x[k] * row[c];
    }
    *used = count;
})

/* Optimiser steps on the entries with on[k]. Gradient: g[k] * scale + decay * w[k]. */
LSH_KERNEL(lsh_adam,
    (const char *LSH_RESTRICT on, float *LSH_RESTRICT w, float *LSH_RESTRICT m, float *LSH_RESTRICT v, const double *LSH_RESTRICT g,
     int n, double scale, double decay, float rate, float beta1, float beta2, float epsilon),
    (on, w, m, v, g, n, scale, decay, rate, beta1, beta2, epsilon), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = (float)(g[k] * scale + decay * w[k]);
        const float mk = beta1 * m[k] + (1 - beta1) * gk;
        const float vk = beta2 * v[k] + (1 - beta2) * gk * gk;
        const float wk = w[k] - rate * mk / (sqrtf(vk) + epsilon);
        m[k] = on[k] ? mk : m[k];
        v[k] = on[k] ? vk : v[k];
        w[k] = on[k] ? wk : w[k];
    }
})

LSH_KERNEL(lsh_sgd,
    (const char *LSH_RESTRICT on, float *LSH_RESTRICT w, float *LSH_RESTRICT m, const double *LSH_RESTRICT g, int n, double scale,
     double decay, float rate, float momentum, int nesterov),
    (on, w, m, g, n, scale, decay, rate, momentum, nesterov), {
    const float ahead = nesterov ? momentum : 1, now = nesterov ? rate : 0;
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = (float)(g[k] * scale + decay * w[k]);
        const float mk = momentum * m[k] - rate * gk;
        const float wk = w[k] + ahead * mk - now * gk;
        m[k] = on[k] ? mk : m[k];
        w[k] = on[k] ? wk : w[k];
    }
})

LSH_KERNEL(lsh_adagrad,
    (const char *LSH_RESTRICT on, float *LSH_RESTRICT w, float *LSH_RESTRICT v, const double *LSH_RESTRICT g, int n, double scale,
     double decay, float rate, float epsilon),
    (on, w, v, g, n, scale, decay, rate, epsilon), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float gk = (float)(g[k] * scale + decay * w[k]);
        const float vk = v[k] + gk * gk;
        const float wk = w[k] - rate * gk / (sqrtf(vk) + epsilon);
        v[k] = on[k] ? vk : v[k];
        w[k] = on[k] ? wk : w[k];
    }
})
#endif
