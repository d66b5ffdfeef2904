/* What Cython cannot say: vector loops, compiled twice (AVX2 + FMA and the compiler's baseline), where it
 * pays a third time (AVX-512 with VNNI), and chosen at run time. Each body is plain C, so any compiler
 * can build it. */
#ifndef SKLEARN_LSH_SIMD_H
#define SKLEARN_LSH_SIMD_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__GNUC__)
#define LSH_SIMD(clauses) _Pragma(#clauses)
#define LSH_RESTRICT __restrict__
#define LSH_NOINLINE __attribute__((noinline))
#define LSH_LOWEST_BIT(word) __builtin_ctzll(word)
#else
#define LSH_SIMD(clauses)
#define LSH_RESTRICT __restrict
#define LSH_NOINLINE
static inline int LSH_LOWEST_BIT(uint64_t word) {
    int bit = 0;
    while (!(word >> bit & 1)) bit++;
    return bit;
}
#endif

#if defined(__GNUC__) && defined(__x86_64__)
#include <immintrin.h>
#define LSH_AVX2 __attribute__((target("avx2,fma")))
#define LSH_AVX512 __attribute__((target("avx2,fma,avx512f,avx512vnni")))
static int lsh_avx2 = 0, lsh_avx512 = 0;
/* SKLEARN_LSH_SIMD=baseline or avx2: no more than that, to try on one machine what others run. */
static void lsh_detect(void) {
    const char *most = getenv("SKLEARN_LSH_SIMD"); /* checked in __init__.py */
    if (most && !strcmp(most, "baseline")) return;
    __builtin_cpu_init();
    lsh_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    lsh_avx512 = lsh_avx2 && !(most && !strcmp(most, "avx2")) && __builtin_cpu_supports("avx512f") &&
                 __builtin_cpu_supports("avx512vnni");
}
/* One body, two functions, one branch that is always predicted. */
#define LSH_KERNEL(name, params, args, ...)                                                   \
    LSH_AVX2 static void name##_avx2 params __VA_ARGS__                                       \
    static void name##_base params __VA_ARGS__                                                \
    static inline void name params { if (lsh_avx2) name##_avx2 args; else name##_base args; }
#else
static void lsh_detect(void) {}
static const int lsh_avx2 = 0, lsh_avx512 = 0;
#define LSH_KERNEL(name, params, args, ...) static inline void name params __VA_ARGS__
#endif

/* Between the two, numbers too small for full precision count as 0 (floats below 1.2e-38, doubles below
 * 2.2e-308), where compiler and processor have a mode for it: squares of gradients often are, and such
 * processors are slow over them. */
#if defined(__GNUC__) && defined(__x86_64__)
static inline unsigned lsh_flush(void) {
    const unsigned before = _mm_getcsr();
    _mm_setcsr(before | 0x8040); /* results, and what is read */
    return before;
}
static inline void lsh_unflush(unsigned before) { _mm_setcsr(before); }
#else
static inline unsigned lsh_flush(void) { return 0; }
static inline void lsh_unflush(unsigned before) { (void)before; }
#endif

/* Dense rows are kept by lines of 8 columns. Lines that are zero throughout are left out: the others
 * stand side by side, with a list of their first columns, and behind them the n % 8 last columns. */
#define LSH_LINE 8
#define LSH_TAIL(n) ((n) - (n) % LSH_LINE)

/* Sums that stay in registers: plain arrays do not, whatever a compiler unrolls. */
#if defined(__GNUC__)
typedef float lsh_f8 __attribute__((vector_size(32), aligned(4), may_alias));
typedef float lsh_f16 __attribute__((vector_size(64), aligned(4), may_alias));
#define LSH_ADD(vector, sum, a, x) ((sum) += (a) * *(const vector *)(x))
#define LSH_ADD8(sum, a, x) LSH_ADD(lsh_f8, sum, a, x)
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
#define LSH_ADD(vector, sum, a, x) LSH_ADD8(sum, a, x)
#define LSH_ADD8V(sum, w, x) do LSH_EACH8 (sum).lane[i_] += (w)[i_] * (x)[i_]; while (0)
#define LSH_ADD8G(sum, w, i, x) do LSH_EACH8 (sum).lane[i_] += (w)[(i)[i_]] * (x)[i_]; while (0)
#define LSH_PLUS8(sum, other) do LSH_EACH8 (sum).lane[i_] += (other).lane[i_]; while (0)
#define LSH_LANE(sum, t) ((sum).lane[t])
#define LSH_UNROLL
#endif

#define LSH_SUM8(v)                                                                               \
    (((LSH_LANE(v, 0) + LSH_LANE(v, 4)) + (LSH_LANE(v, 1) + LSH_LANE(v, 5))) +                    \
     ((LSH_LANE(v, 2) + LSH_LANE(v, 6)) + (LSH_LANE(v, 3) + LSH_LANE(v, 7))))

#if defined(__GNUC__) && defined(__x86_64__)
#define LSH_WILL_READ(p) __builtin_prefetch(p)
/* The line for this core alone; where the instruction is unknown it does nothing. */
#define LSH_WILL_WRITE(p) __asm__ volatile("prefetchw %0" : : "m"(*(p)))
#elif defined(__GNUC__)
#define LSH_WILL_READ(p) __builtin_prefetch(p)
#define LSH_WILL_WRITE(p) __builtin_prefetch(p, 1)
#else
#define LSH_WILL_READ(p) (void)(p)
#define LSH_WILL_WRITE(p) (void)(p)
#endif

/* Ask for a part of a row of n floats, `share` of them, that is about to be read through index lists, if
 * the n_reads entries are most of the part's cache lines. A whole row at once would stop the work at hand. */
#define LSH_PREFETCH(name, ask)                                                                   \
    static inline void name(const float *row, int n, int part, int share, int n_reads) {          \
        const int64_t end = (part + (int64_t)1) * share;                                          \
        if ((int64_t)n_reads * 16 > share)                                                        \
            for (int64_t k = (int64_t)part * share; k < (end < n ? end : n); k += 16) ask(row + k);  \
    }
LSH_PREFETCH(lsh_prefetch, LSH_WILL_READ)
LSH_PREFETCH(lsh_prefetch_to_write, LSH_WILL_WRITE)
#endif
