/* Exponentials side by side: on many labels the library's, one by one, take long. */
#ifndef SKLEARN_LSH_LOSSES_H
#define SKLEARN_LSH_LOSSES_H

#include "simd.h"

#define LSH_LEAST_EXPONENT -700.0

/* exp(x) for x <= 0 to 1e-14, in steps that a compiler can do for several x at once: 2^n times a Taylor
 * polynomial on [-ln 2 / 2, ln 2 / 2]. The last bits of n + 1.5 * 2^52 are those of n. */
static inline double lsh_exp(double x) {
    const double shift = 6755399441055744.0;
    x = x < LSH_LEAST_EXPONENT ? LSH_LEAST_EXPONENT : x;
    const double shifted = x * 1.4426950408889634 + shift, n = shifted - shift;
    const double r = x - n * 6.93147180369123816490e-01 - n * 1.90821492927058770002e-10;
    double p = 1.0 / 39916800;
    p = p * r + 1.0 / 3628800;
    p = p * r + 1.0 / 362880;
    p = p * r + 1.0 / 40320;
    p = p * r + 1.0 / 5040;
    p = p * r + 1.0 / 720;
    p = p * r + 1.0 / 120;
    p = p * r + 1.0 / 24;
    p = p * r + 1.0 / 6;
    p = p * r + 0.5;
    p = p * r + 1.0;
    p = p * r + 1.0;
    union { double value; uint64_t bits; } scale = {shifted};
    scale.bits = (scale.bits + 1023) << 52;
    return p * scale.value;
}

/* top = the largest of x[0..n), out[k] = exp(x[k] - top), total = their sum */
LSH_KERNEL(lsh_softmax,
    (const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT out, double *LSH_RESTRICT top,
     double *LSH_RESTRICT total),
    (x, n, out, top, total), {
    float most = x[0];
    LSH_SIMD(omp simd reduction(max : most))
    for (int k = 0; k < n; k++) most = x[k] > most ? x[k] : most;
    *top = most;
    double sum = 0;
    LSH_SIMD(omp simd reduction(+:sum))
    for (int k = 0; k < n; k++) {
        const double e = lsh_exp(x[k] - (double)most);
        out[k] = (float)e;
        sum += e;
    }
    *total = sum;
})
#endif
