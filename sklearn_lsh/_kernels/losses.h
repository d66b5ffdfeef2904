/* Exponentials side by side: on many labels the library's, one by one, take long. */
#ifndef SKLEARN_LSH_LOSSES_H
#define SKLEARN_LSH_LOSSES_H

#include "simd.h"

/* exp(x) for x from -87.3, where floats of full precision end, to 0, to 2e-7 of it; less than 1.2e-38 for x
 * down to -88. In steps that a compiler can do for several x at once: 2^n times a polynomial on
 * [-ln 2 / 2, ln 2 / 2] (that of Moshier's Cephes). The last bits of n + 1.5 * 2^23 are those of n; where
 * that is -127 the power is 0. */
#define LSH_LEAST_EXPONENT -88.0f
static inline float lsh_exp(float x) {
    const float shift = 12582912.0f;
    const float shifted = x * 1.44269504f + shift, n = shifted - shift;
    const float r = (x - n * 0.693359375f) - n * -2.12194440e-4f;
    float p = 1.9875691500e-4f, scale;
    uint32_t bits;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * r * r + r + 1.0f;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits + 127) << 23;
    memcpy(&scale, &bits, sizeof scale);
    return p * scale;
}

/* top = the largest of x[0..n), out[k] = exp(x[k] - top), total = their sum. Compilers leave a loop alone
 * that does more than one of these. */
LSH_KERNEL(lsh_softmax,
    (const float *LSH_RESTRICT x, int n, float *LSH_RESTRICT out, double *LSH_RESTRICT top,
     double *LSH_RESTRICT total),
    (x, n, out, top, total), {
    float most = x[0];
    double sum = 0;
    LSH_SIMD(omp simd reduction(max : most))
    for (int k = 0; k < n; k++) most = x[k] > most ? x[k] : most;
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) {
        const float below = x[k] - most;
        out[k] = below < LSH_LEAST_EXPONENT ? LSH_LEAST_EXPONENT : below;
    }
    LSH_SIMD(omp simd)
    for (int k = 0; k < n; k++) out[k] = lsh_exp(out[k]);
    LSH_SIMD(omp simd reduction(+:sum))
    for (int k = 0; k < n; k++) sum += out[k];
    *top = most;
    *total = sum;
})
#endif
