/* Products of matrices whose rows lie apart: four rows by four, from registers. AVX-512 takes two rows
 * side by side, and eight at a time, in the same order, so that the bits are those of AVX2. */
#ifndef SKLEARN_LSH_MATRICES_H
#define SKLEARN_LSH_MATRICES_H

#include "simd.h"

/* out[t] += the last n % 8 products of <w[t], x>. One function, so that compilers fuse multiplications and
 * additions for one row as they do for four. */
LSH_NOINLINE static void lsh_dot_tail(const float *const *w, const float *x, int n,
                                      float *LSH_RESTRICT out) {
    for (int k = LSH_TAIL(n); k < n; k++)
        for (int t = 0; t < 4; t++) out[t] += w[t][k] * x[k];
}

/* But for the last products, out[4 e + t] = start[t] + <w[t], x[e]>, t = 0..3, e = 0..3 or 0..7 */
#define LSH_DOT16                                                                                 \
    (const float *const *w, const float *const *x, int n, const float *LSH_RESTRICT start,        \
     float *LSH_RESTRICT out)
LSH_KERNEL(lsh_dot16_by8, LSH_DOT16, (w, x, n, start, out), {
    for (int e = 0; e < 4; e += 2) {
        lsh_f8 sum0[4] = {0};
        lsh_f8 sum1[4] = {0};
        for (int k = 0; k < LSH_TAIL(n); k += 8) {
            LSH_UNROLL
            for (int t = 0; t < 4; t++) {
                LSH_ADD8V(sum0[t], w[t] + k, x[e] + k);
                LSH_ADD8V(sum1[t], w[t] + k, x[e + 1] + k);
            }
        }
        LSH_UNROLL
        for (int t = 0; t < 4; t++) {
            out[4 * e + t] = start[t] + LSH_SUM8(sum0[t]);
            out[4 * e + 4 + t] = start[t] + LSH_SUM8(sum1[t]);
        }
    }
})
#ifdef LSH_AVX512
/* Two rows side by side. */
LSH_AVX512 static inline __m512 lsh_beside(const float *x, const float *y) {
    return _mm512_castpd_ps(_mm512_insertf64x4(
        _mm512_castps_pd(_mm512_castps256_ps512(_mm256_loadu_ps(x))),
        _mm256_castps_pd(_mm256_loadu_ps(y)), 1));
}
/* Of every four, or every pair, the sums of those beside each other: in the order of LSH_SUM8. */
LSH_AVX512 static inline __m512 lsh_sum_fours(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x88), _mm512_shuffle_f32x4(a, b, 0xdd));
}
LSH_AVX512 static inline __m512 lsh_sum_pairs(__m512 a, __m512 b) {
    return _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x88), _mm512_shuffle_ps(a, b, 0xdd));
}
/* The sums of four rows, two side by side in s, two in u, in the order of `out`. */
LSH_AVX512 static inline __m512 lsh_sum16(const __m512 *s, const __m512 *u) {
    const __m512i order = _mm512_setr_epi32(0, 8, 1, 9, 4, 12, 5, 13, 2, 10, 3, 11, 6, 14, 7, 15);
    const __m512 sums = lsh_sum_pairs(
        lsh_sum_pairs(lsh_sum_fours(s[0], s[1]), lsh_sum_fours(s[2], s[3])),
        lsh_sum_pairs(lsh_sum_fours(u[0], u[1]), lsh_sum_fours(u[2], u[3])));
    return _mm512_permutexvar_ps(order, sums);
}
#define LSH_DOT_BY16(name, pairs)                                                                 \
    LSH_AVX512 static void name LSH_DOT16 {                                                       \
        const __m512 first = _mm512_broadcast_f32x4(_mm_loadu_ps(start));                         \
        __m512 s[pairs][4];                                                                       \
        LSH_UNROLL                                                                                \
        for (int p = 0; p < pairs; p++)                                                           \
            for (int t = 0; t < 4; t++) s[p][t] = _mm512_setzero_ps();                            \
        for (int k = 0; k < LSH_TAIL(n); k += 8) {                                                \
            __m512 v[4];                                                                          \
            LSH_UNROLL                                                                            \
            for (int t = 0; t < 4; t++)                                                           \
                v[t] = _mm512_castpd_ps(                                                          \
                    _mm512_broadcast_f64x4(_mm256_castps_pd(_mm256_loadu_ps(w[t] + k))));         \
            LSH_UNROLL                                                                            \
            for (int p = 0; p < pairs; p++) {                                                     \
                const __m512 both = lsh_beside(x[2 * p] + k, x[2 * p + 1] + k);                   \
                LSH_UNROLL                                                                        \
                for (int t = 0; t < 4; t++) s[p][t] = _mm512_fmadd_ps(v[t], both, s[p][t]);       \
            }                                                                                     \
        }                                                                                         \
        LSH_UNROLL                                                                                \
        for (int p = 0; p < pairs; p += 2)                                                        \
            _mm512_storeu_ps(out + 8 * p, _mm512_add_ps(first, lsh_sum16(s[p], s[p + 1])));       \
    }
LSH_DOT_BY16(lsh_dot16_by16, 2)
LSH_DOT_BY16(lsh_dot32_by16, 4)
#endif

/* The same of one row, to the same bits: out[t] = start[t] + <w[t], x> */
LSH_KERNEL(lsh_dot4_by8,
    (const float *const *w, const float *x, int n, const float *LSH_RESTRICT start,
     float *LSH_RESTRICT out),
    (w, x, n, start, out), {
    lsh_f8 sum[4] = {0};
    for (int k = 0; k < LSH_TAIL(n); k += 8) {
        LSH_UNROLL
        for (int t = 0; t < 4; t++) LSH_ADD8V(sum[t], w[t] + k, x + k);
    }
    LSH_UNROLL
    for (int t = 0; t < 4; t++) out[t] = start[t] + LSH_SUM8(sum[t]);
})

/* out[4 e + t] = start[t] + <w[t], x[e]>, t = 0..3, of n_rows rows e */
static inline void lsh_dot4(const float *const *w, const float *const *x, int n_rows, int n,
                            const float *start, float *LSH_RESTRICT out) {
    int e = 0;
#ifdef LSH_AVX512
    for (; lsh_avx512 && e + 8 <= n_rows; e += 8) lsh_dot32_by16(w, x + e, n, start, out + 4 * e);
    for (; lsh_avx512 && e + 4 <= n_rows; e += 4) lsh_dot16_by16(w, x + e, n, start, out + 4 * e);
#endif
    for (; e + 4 <= n_rows; e += 4) lsh_dot16_by8(w, x + e, n, start, out + 4 * e);
    for (; e < n_rows; e++) lsh_dot4_by8(w, x[e], n, start, out + 4 * e);
    for (e = 0; n % LSH_LINE && e < n_rows; e++) lsh_dot_tail(w, x[e], n, out + 4 * e);
}

/* So many columns of `lsh_combine` at a time, from registers. */
#define LSH_COMBINE(vector)                                                                       \
    for (const int lanes = sizeof(vector) / sizeof(float); c + 2 * lanes <= n; c += 2 * lanes) {  \
        vector low[4] = {0};                                                                      \
        vector high[4] = {0};                                                                     \
        for (int s = 0; s < n_ids; s++) {                                                         \
            const float *row = rows + ids[s] * stride + c;                                        \
            LSH_UNROLL                                                                            \
            for (int e = 0; e < 4; e++) {                                                         \
                LSH_ADD(vector, low[e], d[e][s * step], row);                                     \
                LSH_ADD(vector, high[e], d[e][s * step], row + lanes);                            \
            }                                                                                     \
        }                                                                                         \
        LSH_UNROLL                                                                                \
        for (int e = 0; e < 4; e++) {                                                             \
            memcpy(out[e] + c, &low[e], sizeof(vector));                                          \
            memcpy(out[e] + c + lanes, &high[e], sizeof(vector));                                 \
        }                                                                                         \
    }
/* The columns of `lsh_combine` from c on that make no vector, of one row. One function, so that compilers fuse
 * multiplications and additions alike wherever a row stands among its four. */
LSH_NOINLINE static void lsh_combine_rest(const float *d, int step, const int32_t *ids, int n_ids,
                                          const float *rows, int64_t stride, int c, int n,
                                          float *out) {
    for (; c < n; c++) {
        float sum = 0;
        for (int s = 0; s < n_ids; s++) sum += d[s * step] * rows[ids[s] * stride + c];
        out[c] = sum;
    }
}

/* out[e][0..n) = sum over s of d[e][s * step] rows[ids[s] * stride + 0..n), e = 0..3: products of matrices
 * whose rows lie apart */
#define LSH_COMBINE_PARAMS                                                                        \
    (const float *const *d, int step, const int32_t *ids, int n_ids, const float *rows,           \
     int64_t stride, int n, float *const *out)
LSH_KERNEL(lsh_combine_by8, LSH_COMBINE_PARAMS, (d, step, ids, n_ids, rows, stride, n, out), {
    int c = 0;
    LSH_COMBINE(lsh_f8)
})
#ifdef LSH_AVX512
LSH_AVX512 static void lsh_combine_by16 LSH_COMBINE_PARAMS {
    int c = 0;
    LSH_COMBINE(lsh_f16)
    LSH_COMBINE(lsh_f8)
}
#endif
static inline void lsh_combine LSH_COMBINE_PARAMS {
#ifdef LSH_AVX512
    if (lsh_avx512) lsh_combine_by16(d, step, ids, n_ids, rows, stride, n, out);
    else
#endif
    lsh_combine_by8(d, step, ids, n_ids, rows, stride, n, out);
    for (int e = 0; e < 4 && n % 16; e++)
        lsh_combine_rest(d[e], step, ids, n_ids, rows, stride, n - n % 16, n, out[e]);
}
#endif
