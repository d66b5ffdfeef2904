/* The largest of many scores: bins, counts, bitmaps. */
#ifndef SKLEARN_LSH_SELECTION_H
#define SKLEARN_LSH_SELECTION_H

#include "simd.h"

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
static void lsh_bins_base(const float *LSH_RESTRICT x, int n, float low, float scale,
                          uint8_t *LSH_RESTRICT bins) {
    for (int k = 0; k < n; k++) {
        float place = (x[k] - low) * scale;
        place = place < 255 ? place : 255;
        bins[k] = (uint8_t)(int)(place > 0 ? place : 0);
    }
}
#ifdef LSH_AVX2
LSH_AVX2 static void lsh_bins_avx2(const float *LSH_RESTRICT x, int n, float low, float scale,
                                   uint8_t *LSH_RESTRICT bins) {
    const __m256 from = _mm256_set1_ps(low), by = _mm256_set1_ps(scale);
    const __m256 last = _mm256_set1_ps(255);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    int k = 0;
    for (; k + 32 <= n; k += 32) {
        __m256i place[4];
        LSH_UNROLL
        for (int t = 0; t < 4; t++)
            place[t] = _mm256_cvttps_epi32(_mm256_min_ps(
                _mm256_mul_ps(_mm256_sub_ps(_mm256_loadu_ps(x + k + 8 * t), from), by), last));
        /* Packing cuts off below, and takes halves of registers. */
        const __m256i bytes = _mm256_packus_epi16(_mm256_packs_epi32(place[0], place[1]),
                                                  _mm256_packs_epi32(place[2], place[3]));
        _mm256_storeu_si256((__m256i *)(bins + k), _mm256_permutevar8x32_epi32(bytes, order));
    }
    lsh_bins_base(x + k, n - k, low, scale, bins + k);
}
#endif
static inline void lsh_bins(const float *x, int n, float low, float scale, uint8_t *bins) {
#ifdef LSH_AVX2
    if (lsh_avx2) { lsh_bins_avx2(x, n, low, scale, bins); return; }
#endif
    lsh_bins_base(x, n, low, scale, bins);
}

/* How many of n bytes are at least t. */
static int lsh_count_base(const uint8_t *bins, int n, uint8_t t) {
    int total = 0;
    for (int k = 0; k < n; k++) total += bins[k] >= t;
    return total;
}
#ifdef LSH_AVX2
LSH_AVX2 static int lsh_count_avx2(const uint8_t *bins, int n, uint8_t t) {
    const __m256i least = _mm256_set1_epi8((char)t), zero = _mm256_setzero_si256();
    __m256i total = zero;
    int k = 0;
    while (n - k >= 32) {
        /* A lane holds 255. */
        const int stop = n - k < 32 * 255 ? n - 31 : k + 32 * 255;
        __m256i part = zero;
        for (; k < stop; k += 32) {
            const __m256i b = _mm256_loadu_si256((const __m256i *)(bins + k));
            part = _mm256_sub_epi8(part, _mm256_cmpeq_epi8(_mm256_max_epu8(b, least), b));
        }
        total = _mm256_add_epi64(total, _mm256_sad_epu8(part, zero));
    }
    const __m128i halves =
        _mm_add_epi64(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
    const int64_t sum = _mm_extract_epi64(halves, 0) + _mm_extract_epi64(halves, 1);
    return (int)sum + lsh_count_base(bins + k, n - k, t);
}
#endif
static inline int lsh_count(const uint8_t *bins, int n, uint8_t t) {
#ifdef LSH_AVX2
    if (lsh_avx2) return lsh_count_avx2(bins, n, t);
#endif
    return lsh_count_base(bins, n, t);
}

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

/* Lists the scores above t: numbers, from `first` on, and values; gives how many there are. */
static int lsh_above_base(const float *x, int n, float t, int first, int32_t *ids, float *values) {
    int count = 0;
    for (int k = 0; k < n; k++)
        if (x[k] > t) {
            ids[count] = first + k;
            values[count++] = x[k];
        }
    return count;
}
#ifdef LSH_AVX2
LSH_AVX2 static int lsh_above_avx2(const float *x, int n, float t, int first, int32_t *ids,
                                   float *values) {
    const __m256 least = _mm256_set1_ps(t);
    int count = 0, k = 0;
    for (; k + 32 <= n; k += 32) {
        uint32_t found = 0;
        LSH_UNROLL
        for (int c = 0; c < 4; c++) {
            const __m256 is_above = _mm256_cmp_ps(_mm256_loadu_ps(x + k + 8 * c), least, _CMP_GT_OQ);
            found |= (uint32_t)_mm256_movemask_ps(is_above) << 8 * c;
        }
        for (; found; found &= found - 1) {
            const int at = k + LSH_LOWEST_BIT(found);
            ids[count] = first + at;
            values[count++] = x[at];
        }
    }
    return count + lsh_above_base(x + k, n - k, t, first + k, ids + count, values + count);
}
#endif
static inline int lsh_above(const float *x, int n, float t, int first, int32_t *ids, float *values) {
#ifdef LSH_AVX2
    if (lsh_avx2) return lsh_above_avx2(x, n, t, first, ids, values);
#endif
    return lsh_above_base(x, n, t, first, ids, values);
}

/* Positions of the bits, ascending; clears them and gives their number. */
static inline int lsh_list_bits(uint64_t *words, int n_words, int32_t *positions) {
    int count = 0;
    for (int w = 0; w < n_words; w++) {
        for (uint64_t word = words[w]; word; word &= word - 1)
            positions[count++] = 64 * w + LSH_LOWEST_BIT(word);
        words[w] = 0;
    }
    return count;
}
#endif
