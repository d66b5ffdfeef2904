/* Rows times weights: dense rows by lines, sparse rows by index lists, panels of a sketch. */
#ifndef SKLEARN_LSH_PRODUCTS_H
#define SKLEARN_LSH_PRODUCTS_H

#include "simd.h"

/* out = the lines of x that are not zero throughout, and their list */
LSH_KERNEL(lsh_copy,
    (const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT out, int32_t *LSH_RESTRICT lines,
     int32_t *LSH_RESTRICT n_lines),
    (x, n, out, lines, n_lines), {
    int count = 0;
    for (int64_t first = 0; first < LSH_TAIL(n); first += LSH_LINE) {
        float *LSH_RESTRICT to = out + LSH_LINE * (int64_t)count;
        int any = 0;
        LSH_SIMD(omp simd reduction(| : any))
        for (int k = 0; k < LSH_LINE; k++) {
            to[k] = x[first + k];
            any |= x[first + k] != 0;
        }
        lines[count] = first;
        count += any;
    }
    for (int k = LSH_TAIL(n); k < n; k++) out[LSH_LINE * count + k - LSH_TAIL(n)] = x[k];
    *n_lines = count;
})

/* sum = <w, x>, x by lines */
#define LSH_DOT(sum, w, x, lines, n_lines, n)                                                     \
    do {                                                                                          \
        lsh_f8 s0_ = {0}; lsh_f8 s1_ = {0}; lsh_f8 s2_ = {0}; lsh_f8 s3_ = {0};                   \
        const float *x_ = (x);                                                                    \
        const int32_t *l_ = (lines), *end_ = l_ + (n_lines);                                      \
        for (; l_ + 4 <= end_; l_ += 4, x_ += 4 * LSH_LINE) {                                     \
            LSH_ADD8V(s0_, (w) + l_[0], x_); LSH_ADD8V(s1_, (w) + l_[1], x_ + LSH_LINE);          \
            LSH_ADD8V(s2_, (w) + l_[2], x_ + 2 * LSH_LINE);                                       \
            LSH_ADD8V(s3_, (w) + l_[3], x_ + 3 * LSH_LINE);                                       \
        }                                                                                         \
        for (; l_ < end_; l_++, x_ += LSH_LINE) LSH_ADD8V(s0_, (w) + *l_, x_);                    \
        LSH_PLUS8(s0_, s2_); LSH_PLUS8(s1_, s3_); LSH_PLUS8(s0_, s1_);                            \
        (sum) = LSH_SUM8(s0_);                                                                    \
        for (int k_ = LSH_TAIL(n); k_ < (n); k_++) (sum) += (w)[k_] * x_[k_ - LSH_TAIL(n)];       \
    } while (0)

/* sum = sum_k w[ids[k]] x[k] */
#define LSH_GATHER_DOT(sum, w, ids, x, n)                                                         \
    do {                                                                                          \
        lsh_f8 s0_ = {0}; lsh_f8 s1_ = {0};                                                       \
        const float *x_ = (x);                                                                    \
        const int32_t *i_ = (ids);                                                                \
        int k_ = 0;                                                                               \
        for (; k_ + 16 <= (n); k_ += 16) {                                                        \
            LSH_ADD8G(s0_, w, i_ + k_, x_ + k_); LSH_ADD8G(s1_, w, i_ + k_ + 8, x_ + k_ + 8);     \
        }                                                                                         \
        if (k_ + 8 <= (n)) {                                                                      \
            LSH_ADD8G(s0_, w, i_ + k_, x_ + k_);                                                  \
            k_ += 8;                                                                              \
        }                                                                                         \
        LSH_PLUS8(s0_, s1_);                                                                      \
        (sum) = LSH_SUM8(s0_);                                                                    \
        for (; k_ < (n); k_++) (sum) += (w)[i_[k_]] * x_[k_];                                     \
    } while (0)

/* *out = <w, x>, x by lines */
LSH_KERNEL(lsh_dot,
    (const float *LSH_RESTRICT w, const float *LSH_RESTRICT x, const int32_t *lines, int n_lines,
     int n, float *LSH_RESTRICT out),
    (w, x, lines, n_lines, n, out), { LSH_DOT(*out, w, x, lines, n_lines, n); })

/* *out = sum_k w[ids[k]] x[k] */
LSH_KERNEL(lsh_gather_dot,
    (const float *LSH_RESTRICT w, const int32_t *LSH_RESTRICT ids, const float *LSH_RESTRICT x, int n,
     float *LSH_RESTRICT out),
    (w, ids, x, n, out), { LSH_GATHER_DOT(*out, w, ids, x, n); })

/* out[p] = bias + <w, row rows[p] of x>, rows by lines; meanwhile the weights that are `coming` */
LSH_KERNEL(lsh_dot_rows,
    (const float *LSH_RESTRICT w, const float *coming, int n, float bias,
     const int32_t *LSH_RESTRICT rows, int n_rows, const int64_t *LSH_RESTRICT start,
     const float *LSH_RESTRICT x, const int32_t *LSH_RESTRICT lines,
     const int32_t *LSH_RESTRICT n_lines, float *LSH_RESTRICT out),
    (w, coming, n, bias, rows, n_rows, start, x, lines, n_lines, out), {
    const int share = (n + n_rows - 1) / n_rows;
    for (int p = 0; p < n_rows; p++) {
        const int64_t at = start[rows[p]];
        lsh_prefetch(coming, n, p, share, n);
        LSH_DOT(out[p], w, x + at, lines + at / LSH_LINE, n_lines[rows[p]], n);
        out[p] += bias;
    }
})

/* The same of sparse rows. */
LSH_KERNEL(lsh_gather_dot_rows,
    (const float *LSH_RESTRICT w, const float *coming, int n, float bias,
     const int32_t *LSH_RESTRICT rows, int n_rows, const int64_t *LSH_RESTRICT start,
     const float *LSH_RESTRICT x, const int32_t *LSH_RESTRICT ids,
     const int32_t *LSH_RESTRICT length, float *LSH_RESTRICT out),
    (w, coming, n, bias, rows, n_rows, start, x, ids, length, out), {
    const int share = (n + n_rows - 1) / n_rows;
    for (int p = 0; p < n_rows; p++) {
        const int64_t at = start[rows[p]];
        lsh_prefetch(coming, n, p, share, length[rows[p]]);
        LSH_GATHER_DOT(out[p], w, ids + at, x + at, length[rows[p]]);
        out[p] += bias;
    }
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

#define LSH_CODE_ZERO 64 /* as in _selectors.py */

/* Codes of a query: q / scale rounded, from -63 to 63, less -64; returns the scale. Padded to fours. */
static inline float lsh_code(const float *q, int r, uint8_t *codes) {
    float most = 0;
    for (int k = 0; k < r; k++) most = fabsf(q[k]) > most ? fabsf(q[k]) : most;
    /* Queries that have overflowed, or vanish, tell nothing. */
    const int tells = most > 1e-30f && most < 1e30f;
    const float inverse = tells ? 63 / most : 0;
    for (int k = 0; k < r; k++) codes[k] = tells ? (uint8_t)(int)(q[k] * inverse + LSH_CODE_ZERO + 0.5f) : LSH_CODE_ZERO;
    for (int k = r; k % 4; k++) codes[k] = LSH_CODE_ZERO;
    return tells ? most / 63 : 0;
}

/* out[e][t] = scales[e] * (starts[t] + sum_k q[e][k] codes[k / 4][t][k % 4]) + offsets[t], t = 0..31, of n_rows
 * rows e, up to 4, all 4 of which can be asked. The sums, of whole numbers, are the same on every
 * machine. */
#define LSH_SCORE_CODES                                                                           \
    (const int8_t *codes, const uint8_t *const *q, int n_rows, int fours, const int32_t *starts,  \
     const float *offsets, const float *scales, float *const *out)
static void lsh_score_codes_base LSH_SCORE_CODES {
    for (int e = 0; e < n_rows; e++)
        for (int t = 0; t < 32; t++) {
            int32_t sum = starts[t];
            for (int k = 0; k < 4 * fours; k++)
                sum += q[e][k] * codes[128 * (k / 4) + 4 * t + k % 4];
            out[e][t] = scales[e] * (float)sum + offsets[t];
        }
}
#ifdef LSH_AVX2
static inline int32_t lsh_four(const uint8_t *q) {
    int32_t four;
    memcpy(&four, q, 4);
    return four;
}
LSH_AVX2 static void lsh_score_codes_avx2 LSH_SCORE_CODES {
    const __m256i ones = _mm256_set1_epi16(1);
    for (int e = 0; e < n_rows; e += 2) { /* two at a time fit the registers */
        __m256i sum0[4], sum1[4];
        LSH_UNROLL
        for (int t = 0; t < 4; t++)
            sum0[t] = sum1[t] = _mm256_loadu_si256((const __m256i *)(starts + 8 * t));
        for (int k = 0; k < fours; k++) {
            const __m256i a0 = _mm256_set1_epi32(lsh_four(q[e] + 4 * k));
            const __m256i a1 = _mm256_set1_epi32(lsh_four(q[e + 1] + 4 * k));
            LSH_UNROLL
            for (int t = 0; t < 4; t++) {
                const __m256i c = _mm256_loadu_si256((const __m256i *)(codes + 128 * k + 32 * t));
                /* Two products of 127 x 127 fit 16 bits. */
                sum0[t] = _mm256_add_epi32(
                    sum0[t], _mm256_madd_epi16(_mm256_maddubs_epi16(a0, c), ones));
                sum1[t] = _mm256_add_epi32(
                    sum1[t], _mm256_madd_epi16(_mm256_maddubs_epi16(a1, c), ones));
            }
        }
        const __m256 s0 = _mm256_set1_ps(scales[e]), s1 = _mm256_set1_ps(scales[e + 1]);
        LSH_UNROLL
        for (int t = 0; t < 4; t++) {
            const __m256 offset = _mm256_loadu_ps(offsets + 8 * t);
            const __m256 z0 = _mm256_cvtepi32_ps(sum0[t]), z1 = _mm256_cvtepi32_ps(sum1[t]);
            _mm256_storeu_ps(out[e] + 8 * t, _mm256_fmadd_ps(s0, z0, offset));
            _mm256_storeu_ps(out[e + 1] + 8 * t, _mm256_fmadd_ps(s1, z1, offset));
        }
    }
}
#define LSH_SCORE_BY16(name, rows)                                                                \
    LSH_AVX512 static void name LSH_SCORE_CODES {                                                 \
        __m512i sum[rows][2];                                                                     \
        LSH_UNROLL                                                                                \
        for (int e = 0; e < rows; e++)                                                            \
            for (int t = 0; t < 2; t++) sum[e][t] = _mm512_loadu_si512(starts + 16 * t);          \
        for (int k = 0; k < fours; k++) {                                                         \
            const __m512i low = _mm512_loadu_si512(codes + 128 * k);                              \
            const __m512i high = _mm512_loadu_si512(codes + 128 * k + 64);                        \
            LSH_UNROLL                                                                            \
            for (int e = 0; e < rows; e++) {                                                      \
                const __m512i a = _mm512_set1_epi32(lsh_four(q[e] + 4 * k));                      \
                sum[e][0] = _mm512_dpbusd_epi32(sum[e][0], a, low);                               \
                sum[e][1] = _mm512_dpbusd_epi32(sum[e][1], a, high);                              \
            }                                                                                     \
        }                                                                                         \
        LSH_UNROLL                                                                                \
        for (int e = 0; e < rows; e++)                                                            \
            for (int t = 0; t < 2; t++)                                                           \
                _mm512_storeu_ps(out[e] + 16 * t,                                                 \
                                 _mm512_fmadd_ps(_mm512_set1_ps(scales[e]),                       \
                                                 _mm512_cvtepi32_ps(sum[e][t]),                   \
                                                 _mm512_loadu_ps(offsets + 16 * t)));             \
    }
LSH_SCORE_BY16(lsh_score_codes_of_4, 4)
LSH_SCORE_BY16(lsh_score_codes_of_1, 1)
#endif
static inline void lsh_score_codes LSH_SCORE_CODES {
#ifdef LSH_AVX2
    if (lsh_avx512) {
        (n_rows == 1 ? lsh_score_codes_of_1 : lsh_score_codes_of_4)(codes, q, n_rows, fours, starts,
                                                                    offsets, scales, out);
        return;
    }
    if (lsh_avx2) {
        lsh_score_codes_avx2(codes, q, n_rows, fours, starts, offsets, scales, out);
        return;
    }
#endif
    lsh_score_codes_base(codes, q, n_rows, fours, starts, offsets, scales, out);
}

/* 8 n columns of `lsh_project` at a time, from registers, while more than 8 (n - 1) are left. The last
 * 8 are the last of r, some of them once more, rather than fewer than 8. */
#define LSH_PROJECT(n)                                                                            \
    for (; t + 8 * ((n) - 1) < r; t += 8 * (n)) {                                                 \
        const int last = r - 8 - t < 8 * ((n) - 1) ? r - 8 - t : 8 * ((n) - 1);                   \
        lsh_f8 even[n] = {0};                                                                     \
        lsh_f8 odd[n] = {0};                                                                      \
        for (int k = 0; k < count; k += 2) {                                                      \
            const int next = k + 1 < count ? k + 1 : k;                                           \
            const float a0 = x[k], a1 = k + 1 < count ? x[next] : 0;                              \
            const float *LSH_RESTRICT row0 = rows + (int64_t)ids[k] * r + t;                      \
            const float *LSH_RESTRICT row1 = rows + (int64_t)ids[next] * r + t;                   \
            LSH_UNROLL                                                                            \
            for (int c = 0; c < (n); c++) {                                                       \
                LSH_ADD8(even[c], a0, row0 + (c < (n) - 1 ? 8 * c : last));                       \
                LSH_ADD8(odd[c], a1, row1 + (c < (n) - 1 ? 8 * c : last));                        \
            }                                                                                     \
        }                                                                                         \
        LSH_UNROLL                                                                                \
        for (int c = 0; c < (n); c++) {                                                           \
            LSH_PLUS8(even[c], odd[c]);                                                           \
            for (int i = 0; i < 8; i++)                                                           \
                q[t + (c < (n) - 1 ? 8 * c : last) + i] = LSH_LANE(even[c], i);                   \
        }                                                                                         \
    }

/* q[0..r) = sum over the entries x[k] of x[k] * rows[id_k * r + 0..r). Of a dense row, by lines, the
 * columns and values that are not zero are listed first. Gives the number of entries used. */
LSH_KERNEL(lsh_project,
    (const float *x, const int32_t *ids, const int32_t *LSH_RESTRICT lines, int n_lines, int n,
     const float *LSH_RESTRICT rows, int r,
     float *LSH_RESTRICT q, int32_t *LSH_RESTRICT columns, float *LSH_RESTRICT values,
     int *LSH_RESTRICT used),
    (x, ids, lines, n_lines, n, rows, r, q, columns, values, used), {
    int count = n, t = 0;
    if (!ids) {
        count = 0;
        for (int line = 0; line <= n_lines; line++) {
            const int first = line < n_lines ? lines[line] : LSH_TAIL(n);
            const int last = line < n_lines ? first + LSH_LINE : n;
            for (int k = first; k < last; k++, x++) {
                uint32_t bits;
                memcpy(&bits, x, sizeof bits);
                columns[count] = k;
                values[count] = *x;
                count += bits << 1 != 0;
            }
        }
        ids = columns;
        x = values;
    }
    if (r < 8) {
        for (int c = 0; c < r; c++) q[c] = 0;
        for (int k = 0; k < count; k++) {
            const float *LSH_RESTRICT row = rows + (int64_t)ids[k] * r;
            for (int c = 0; c < r; c++) q[c] += x[k] * row[c];
        }
        t = r;
    }
    LSH_PROJECT(4) LSH_PROJECT(2) LSH_PROJECT(1)
    *used = count;
})
#endif
