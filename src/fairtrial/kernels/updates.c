/* The update of SGD with momentum, of all weights of a network in one call: the bits that torch gives.

   What torch rounds once, as one operation, is written as fma; what it rounds twice takes two operations. */

#include <math.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang fp contract(off)
#else
#pragma GCC optimize("fp-contract=off")
#endif

/* first: there are no velocities yet. sizes: how many values each weight has. */
void sgd_update(int64_t weights, float *const *weight, const float *const *gradient, float *const *velocity,
                const int64_t *sizes, float lr, float momentum, float decay, int first) {
    for (int64_t k = 0; k < weights; k++) {
        float *restrict w = weight[k], *restrict v = velocity[k];
        const float *restrict g = gradient[k];
        for (int64_t i = 0; i < sizes[k]; i++) {
            const float slope = decay != 0 ? fmaf(w[i], decay, g[i]) : g[i];
            v[i] = first ? slope : momentum * v[i] + slope;
            w[i] = fmaf(v[i], -lr, w[i]);
        }
    }
}
