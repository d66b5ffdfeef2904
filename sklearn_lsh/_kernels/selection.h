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
