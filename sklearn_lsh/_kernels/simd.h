/* What Cython cannot say: vector loops, compiled twice (AVX2 + FMA and the compiler's baseline)
 * and chosen at run time. Each body is plain C, so any compiler can build it. */
#ifndef SKLEARN_LSH_SIMD_H
#define SKLEARN_LSH_SIMD_H

#include <math.h>
#include <stdint.h>
#include <string.h>

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

/* Dense rows are read by lines of 8 floats; of inputs, those that are zero throughout are left out by
 * a list of the others. The n % 8 columns at the end are always read. */
#define LSH_LINE 8

/* Sums that stay in registers: plain arrays do not, whatever a compiler unrolls. */
#if defined(__GNUC__)
typedef float lsh_f8 __attribute__((vector_size(32), aligned(4), may_alias));
#define LSH_ADD8(sum, a, x) ((sum) += (a) * *(const lsh_f8 *)(x))
#define LSH_ADD8V(sum, w, x) ((sum) += *(const lsh_f8 *)(w) * *(const lsh_f8 *)(x))
#define LSH_ADD8G(sum, w, i, x)                                                                   \
    ((sum) += (lsh_f8){(w)[(i)[0]], (w)[(i)[1]], (w)[(i)[2]], (w)[(i)[3]], (w)[(i)[4]],          \
                       (w)[(i)[5]], (w)[(i)[6]], (w)[(i)[7]]} * *(const lsh_f8 *)(x))
#define LSH_PLUS8(sum, other) ((sum) += (other))
#define LSH_LANE(sum, t) ((sum)[t])
#define LSH_UNROLL _Pragma("GCC unroll 8")
#else
typedef struct { float lane[8]; } lsh_f8;
#define LSH_EACH8 for (int i_ = 0; i_ < 8; i_++)
#define LSH_ADD8(sum, a, x) do LSH_EACH8 (sum).lane[i_] += (a) * (x)[i_]; while (0)
#define LSH_ADD8V(sum, w, x) do LSH_EACH8 (sum).lane[i_] += (w)[i_] * (x)[i_]; while (0)
#define LSH_ADD8G(sum, w, i, x) do LSH_EACH8 (sum).lane[i_] += (w)[(i)[i_]] * (x)[i_]; while (0)
#define LSH_PLUS8(sum, other) do LSH_EACH8 (sum).lane[i_] += (other).lane[i_]; while (0)
#define LSH_LANE(sum, t) ((sum).lane[t])
#define LSH_UNROLL
#endif

/* out = x; lists the lines of x that are not zero throughout by their first columns, and gives their
 * number */
LSH_KERNEL(lsh_copy,
    (const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT out, int32_t *LSH_RESTRICT lines,
     int32_t *LSH_RESTRICT n_lines),
    (x, n, out, lines, n_lines), {
    int count = 0;
    for (int t = 0; t < n / LSH_LINE; t++) {
        int any = 0;
        LSH_SIMD(omp simd reduction(| : any))
        for (int k = 0; k < LSH_LINE; k++) {
            out[LSH_LINE * t + k] = x[LSH_LINE * t + k];
            any |= x[LSH_LINE * t + k] != 0;
        }
        lines[count] = LSH_LINE * t;
        count += any;
    }
    for (int k = n - n % LSH_LINE; k < n; k++) out[k] = x[k];
    *n_lines = count;
})

/* *out = <w, x> */
LSH_KERNEL(lsh_dot,
    (const float *LSH_RESTRICT w, const float *LSH_RESTRICT x, const int32_t *lines, int n_lines,
     int n, float *LSH_RESTRICT out),
    (w, x, lines, n_lines, n, out), {
    lsh_f8 s0 = {0}; lsh_f8 s1 = {0}; lsh_f8 s2 = {0}; lsh_f8 s3 = {0};
    float sum = 0;
    const int32_t *end = lines + n_lines;
    for (; lines + 4 <= end; lines += 4) {
        LSH_ADD8V(s0, w + lines[0], x + lines[0]); LSH_ADD8V(s1, w + lines[1], x + lines[1]);
        LSH_ADD8V(s2, w + lines[2], x + lines[2]); LSH_ADD8V(s3, w + lines[3], x + lines[3]);
    }
    for (; lines < end; lines++) LSH_ADD8V(s0, w + *lines, x + *lines);
    LSH_PLUS8(s0, s2); LSH_PLUS8(s1, s3); LSH_PLUS8(s0, s1);
    for (int k = n - n % LSH_LINE; k < n; k++) sum += w[k] * x[k];
    LSH_UNROLL
    for (int k = 0; k < 4; k++) sum += LSH_LANE(s0, k) + LSH_LANE(s0, k + 4);
    *out = sum;
})

/* Ask for a row of n floats that is about to be read through index lists, n_reads entries in all: if
 * that is most of its cache lines. */
static inline void lsh_prefetch(const float *row, int n, int64_t n_reads) {
#if defined(__GNUC__)
    if (n_reads * 16 > n)
        for (int k = 0; k < n; k += 16) __builtin_prefetch(row + k);
#endif
}

static inline int lsh_is_minus_zero(double x) {
    uint64_t bits;
    memcpy(&bits, &x, sizeof bits);
    return bits == 1ull << 63;
}

/* *out = sum_k w[ids[k]] x[k] */
LSH_KERNEL(lsh_gather_dot,
    (const float *LSH_RESTRICT w, const int32_t *LSH_RESTRICT ids, const float *LSH_RESTRICT x, int n,
     float *LSH_RESTRICT out),
    (w, ids, x, n, out), {
    lsh_f8 s0 = {0}; lsh_f8 s1 = {0};
    float sum = 0;
    int k = 0;
    for (; k + 16 <= n; k += 16) {
        LSH_ADD8G(s0, w, ids + k, x + k); LSH_ADD8G(s1, w, ids + k + 8, x + k + 8);
    }
    if (k + 8 <= n) {
        LSH_ADD8G(s0, w, ids + k, x + k);
        k += 8;
    }
    for (; k < n; k++) sum += w[ids[k]] * x[k];
    LSH_PLUS8(s0, s1);
    LSH_UNROLL
    for (int t = 0; t < 4; t++) sum += LSH_LANE(s0, t) + LSH_LANE(s0, t + 4);
    *out = sum;
})

/* out += a x */
LSH_KERNEL(lsh_axpy, (float *LSH_RESTRICT out, float a, const float *LSH_RESTRICT x, int n),
    (out, a, x, n), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) out[k] += a * x[k];
})

/* out[k] += a w[ids[k]] */
LSH_KERNEL(lsh_gather_axpy,
    (float *LSH_RESTRICT out, float a, const float *LSH_RESTRICT w, const int32_t *LSH_RESTRICT ids,
     int n),
    (out, a, w, ids, n), {
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) out[k] += a * w[ids[k]];
})

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

/* out[t] = <w[t], q>, t = 0..3 */
LSH_KERNEL(lsh_dot4,
    (const float *LSH_RESTRICT w0, const float *LSH_RESTRICT w1, const float *LSH_RESTRICT w2,
     const float *LSH_RESTRICT w3, const float *LSH_RESTRICT q, int n, float *LSH_RESTRICT out),
    (w0, w1, w2, w3, q, n, out), {
    float s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    LSH_SIMD(omp simd reduction(+ : s0, s1, s2, s3))
    for (int k = 0; k < n; k++) {
        s0 += w0[k] * q[k]; s1 += w1[k] * q[k]; s2 += w2[k] * q[k]; s3 += w3[k] * q[k];
    }
    out[0] = s0; out[1] = s1; out[2] = s2; out[3] = s3;
})

/* out0[t] = start[t] + sum_k q0[k] panel[32 k + t], out1 with q1, t = 0..31: from registers */
LSH_KERNEL(lsh_score,
    (const float *LSH_RESTRICT panel, const float *LSH_RESTRICT q0, const float *LSH_RESTRICT q1,
     int r, const float *LSH_RESTRICT start, float *LSH_RESTRICT out0, float *LSH_RESTRICT out1),
    (panel, q0, q1, r, start, out0, out1), {
    lsh_f8 sum0[4] = {0};
    lsh_f8 sum1[4] = {0};
    for (int k = 0; k < r; k++, panel += 32) {
        const float a0 = q0[k], a1 = q1[k];
        LSH_UNROLL
        for (int t = 0; t < 4; t++) {
            LSH_ADD8(sum0[t], a0, panel + 8 * t);
            LSH_ADD8(sum1[t], a1, panel + 8 * t);
        }
    }
    LSH_UNROLL
    for (int t = 0; t < 4; t++)
        for (int i = 0; i < 8; i++) {
            out0[8 * t + i] = LSH_LANE(sum0[t], i) + start[8 * t + i];
            out1[8 * t + i] = LSH_LANE(sum1[t], i) + start[8 * t + i];
        }
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

#if defined(__GNUC__)
typedef uint8_t lsh_b32 __attribute__((vector_size(32), aligned(1), may_alias));
#define LSH_COUNT32(part, x, t) ((part) -= (lsh_b32)(*(const lsh_b32 *)(x) >= (t)))
#define LSH_BYTE(part, i) ((part)[i])
#else
typedef struct { uint8_t lane[32]; } lsh_b32;
#define LSH_COUNT32(part, x, t) do for (int i_ = 0; i_ < 32; i_++) (part).lane[i_] += (x)[i_] >= (t); while (0)
#define LSH_BYTE(part, i) ((part).lane[i])
#endif

/* *count = how many of n bytes are at least t */
LSH_KERNEL(lsh_count, (const uint8_t *bins, int n, uint8_t t, int *count), (bins, n, t, count), {
    int total = 0;
    int k = 0;
    while (n - k >= 32) {
        /* A lane holds 255. */
        const int stop = n - k < 32 * 255 ? n - 31 : k + 32 * 255;
        lsh_b32 part = {0};
        for (; k < stop; k += 32) LSH_COUNT32(part, bins + k, t);
        for (int i = 0; i < 32; i++) total += LSH_BYTE(part, i);
    }
    for (; k < n; k++) total += bins[k] >= t;
    *count = total;
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

/* q[0..r) = sum over the entries x[k] of x[k] * rows[id_k * r + 0..r). Of a dense row, the non-zero
 * entries are listed in `kept` first. Gives the number of entries used. */
LSH_KERNEL(lsh_project,
    (const float *LSH_RESTRICT x, const int32_t *LSH_RESTRICT ids,
     const int32_t *LSH_RESTRICT lines, int n_lines, int n, const float *LSH_RESTRICT rows, int r,
     float *LSH_RESTRICT q, int32_t *LSH_RESTRICT kept, int *LSH_RESTRICT used),
    (x, ids, lines, n_lines, n, rows, r, q, kept, used), {
    int count = n, t = 0;
    if (!ids) {
        count = 0;
        for (int line = 0; line <= n_lines; line++) {
            const int first = line < n_lines ? lines[line] : n - n % LSH_LINE;
            const int last = line < n_lines ? first + LSH_LINE : n;
            for (int k = first; k < last; k++) {
                uint32_t bits;
                memcpy(&bits, x + k, sizeof bits);
                kept[count] = k;
                count += bits << 1 != 0;
            }
        }
    }
    for (; t + 32 <= r; t += 32) {
        lsh_f8 sum[4] = {0};
        for (int k = 0; k < count; k++) {
            const int id = ids ? ids[k] : kept[k];
            const float a = x[ids ? k : id];
            const float *LSH_RESTRICT row = rows + (int64_t)id * r + t;
            LSH_UNROLL
            for (int c = 0; c < 4; c++) LSH_ADD8(sum[c], a, row + 8 * c);
        }
        LSH_UNROLL
        for (int c = 0; c < 4; c++)
            for (int i = 0; i < 8; i++) q[t + 8 * c + i] = LSH_LANE(sum[c], i);
    }
    for (int c = t; c < r; c++) q[c] = 0;
    for (int k = 0; k < count && t < r; k++) {
        const int id = ids ? ids[k] : kept[k];
        const float a = x[ids ? k : id];
        const float *LSH_RESTRICT row = rows + (int64_t)id * r;
        for (int c = t; c < r; c++) q[c] += a * row[c];
    }
    *used = count;
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
