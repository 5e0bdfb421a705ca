/* Standardized filters of a whole network, forward and backward: as few bytes moved as can be.

   A network is a list of weights; weight t has filters[t] filters of length[t] values each, one after the
   other in memory. One thread treats a filter from end to end, so the number of threads changes no bit. */

#include <math.h>
#include <stdint.h>
#if defined(__AVX__)
#include <immintrin.h>
#endif

#define LANES 32 /* partial sums: wide enough to hide the latency of an addition, and to round little */

static float total(const float *lanes) {
    float sum = 0;
    for (int j = 0; j < LANES; j++) sum += lanes[j];
    return sum;
}

static float mean_of(const float *w, int64_t n) {
    float lanes[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) lanes[j] += w[i + j];
    float sum = total(lanes);
    for (; i < n; i++) sum += w[i];
    return sum / n;
}

/* The sums of (w - m) and of its square. The first is what rounding left of the mean. */
static void centred_sums(const float *w, int64_t n, float m, float *sum, float *square) {
    float s[LANES] = {0}, q[LANES] = {0};
    int64_t i = 0;
    for (; i + LANES <= n; i += LANES)
        for (int j = 0; j < LANES; j++) {
            float d = w[i + j] - m;
            s[j] += d;
            q[j] += d * d;
        }
    *sum = total(s), *square = total(q);
    for (; i < n; i++) {
        float d = w[i] - m;
        *sum += d;
        *square += d * d;
    }
}

/* out = (w - m - rest) * root. Two subtractions, so that a mean far larger than the deviations does not round
   them away. stream: past the caches, for what is read again only after they were filled with other things. */
static void shift_and_scale(const float *w, float *out, int64_t n, float m, float rest, float root,
                            int stream) {
    int64_t i = 0;
#if defined(__AVX__)
    if (stream && (uintptr_t)out % 32 == 0)
        for (; i + 8 <= n; i += 8) {
            __m256 d = _mm256_sub_ps(_mm256_loadu_ps(w + i), _mm256_set1_ps(m));
            d = _mm256_sub_ps(d, _mm256_set1_ps(rest));
            _mm256_stream_ps(out + i, _mm256_mul_ps(d, _mm256_set1_ps(root)));
        }
#endif
    for (; i < n; i++) out[i] = (w[i] - m - rest) * root;
}

/* root: what a filter is multiplied with. slope: what its gradient's product with itself is. Both lie one
   after the other for all filters of all weights. outside: eps is added to the standard deviation, not to the
   variance. correction: 1 for the variance of a sample. */
void standardize_filters(int64_t weights, const float **in, float **out, const int64_t *filters,
                         const int64_t *length, float *root, float *slope, float eps, int outside,
                         int correction, int stream) {
#pragma omp parallel
    {
        int64_t first = 0;
        for (int64_t t = 0; t < weights; t++) {
            const int64_t n = length[t], degrees = n > correction ? n - correction : 1;
#pragma omp for schedule(static) nowait
            for (int64_t f = 0; f < filters[t]; f++) {
                const float *w = in[t] + f * n;
                float m = mean_of(w, n), sum, square;
                centred_sums(w, n, m, &sum, &square);
                const float rest = sum / n, variance = fmaxf(square - sum * rest, 0) / degrees;
                const float deviation = sqrtf(variance);
                const float r = outside ? 1 / (deviation + eps) : 1 / sqrtf(variance + eps);
                root[first + f] = r;
                slope[first + f] = (outside ? (deviation > 0 ? 1 / deviation : 0) : r) / degrees;
                shift_and_scale(w, out[t] + f * n, n, m, rest, r, stream);
            }
            first += filters[t];
        }
#if defined(__AVX__)
        _mm_sfence();
#endif
    }
}

/* The gradient with regard to the weights, written over that with regard to the standardized filters:
   root * (g - mean g) - slope * filter * sum(g * filter). A null pointer passes over a weight. */
void standardize_filters_backward(int64_t weights, float **gradient, const float **standardized,
                                  const int64_t *filters, const int64_t *length, const float *root,
                                  const float *slope) {
#pragma omp parallel
    {
        int64_t first = 0;
        for (int64_t t = 0; t < weights; t++) {
            const int64_t n = length[t], count = gradient[t] ? filters[t] : 0;
#pragma omp for schedule(static) nowait
            for (int64_t f = 0; f < count; f++) {
                float *restrict g = gradient[t] + f * n;
                const float *restrict h = standardized[t] + f * n;
                float s[LANES] = {0}, q[LANES] = {0};
                int64_t i = 0;
                for (; i + LANES <= n; i += LANES)
                    for (int j = 0; j < LANES; j++) {
                        s[j] += g[i + j];
                        q[j] += g[i + j] * h[i + j];
                    }
                float sum = total(s), product = total(q);
                for (; i < n; i++) {
                    sum += g[i];
                    product += g[i] * h[i];
                }
                const float mean = sum / n, r = root[first + f], slant = slope[first + f] * product;
                for (i = 0; i < n; i++) g[i] = (g[i] - mean) * r - h[i] * slant;
            }
            first += filters[t];
        }
    }
}
