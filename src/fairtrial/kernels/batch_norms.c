/* Batch norm with the relu that follows it, of maps in channels-last: the bits that torch gives on one thread.

   x: (rows, channels), a row per pixel of each image; channels: a multiple of WIDE. Torch adds the rows of a
   channel one after the other in single precision. So does this, with the sums in registers. Of a product and a sum
   torch's compiler makes one operation, which rounds once; so must ours in this file. */

#include <math.h>
#include <stdint.h>

#if defined(__clang__)
#pragma clang fp contract(fast)
#else
#pragma GCC optimize("fp-contract=fast")
#endif

#if defined(__AVX512F__) /* channels of a vector: as many as a register holds, as compilers do badly with more */
#define WIDE 16
#elif defined(__AVX__)
#define WIDE 8
#else
#define WIDE 4
#endif
#define MOST 4   /* vectors of a strip, or 2, or 1 */
#define RUN 4096 /* values of whole rows that are treated before the next ones: they are in the caches meanwhile */
#define INLINE static inline __attribute__((always_inline))

typedef float Wide __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));
typedef int32_t Bits __attribute__((vector_size(4 * WIDE), aligned(4), may_alias));

/* The same for each vector of a strip. Written out: in a loop, compilers keep its sums in memory. */
#define VECTORS(call)                        \
    do {                                     \
        call(0);                             \
        if (vectors > 1) call(1);            \
        if (vectors > 2) { call(2); call(3); } \
    } while (0)
#define AT(place, v) (*(Wide *)((place) + (v) * WIDE))

/* Some rows of neighbouring channels: the place of the first value, and of the rows behind. */
typedef struct {
    int64_t channels, c, begin, end;
} Strip;

/* Every strip of a map, those of the same rows one after the other: call(strip, vectors). */
#define STRIPS(call)                                                                               \
    for (int64_t run = RUN / channels + 1, first = 0; first < rows; first += run) {                \
        const int64_t last = first + run < rows ? first + run : rows;                              \
        Strip s = {channels, 0, first * channels, last * channels};                                \
        for (; s.c + MOST * WIDE <= channels; s.c += MOST * WIDE) call(s, MOST);                   \
        for (; s.c + 2 * WIDE <= channels; s.c += 2 * WIDE) call(s, 2);                            \
        if (s.c < channels) call(s, 1);                                                            \
    }
#define ROWS(s) for (int64_t at = (s).begin + (s).c; at < (s).end; at += (s).channels)

/* The value where it is asked for, 0 elsewhere. */
INLINE Wide only(Wide value, Bits where) { return (Wide)((Bits)value & where); }

INLINE void add_rows(const float *x, Strip s, float *total, const int vectors) {
    Wide sum[MOST];
#define BEGIN(v) sum[v] = AT(total + s.c, v)
#define ADD(v) sum[v] += AT(x + at, v)
#define END(v) AT(total + s.c, v) = sum[v]
    VECTORS(BEGIN);
    ROWS(s) VECTORS(ADD);
    VECTORS(END);
#undef ADD
}

INLINE void add_squares(const float *x, Strip s, const float *mean, float *total, const int vectors) {
    Wide sum[MOST], m[MOST];
#define MEAN(v) m[v] = AT(mean + s.c, v)
#define ADD(v) sum[v] = (AT(x + at, v) - m[v]) * (AT(x + at, v) - m[v]) + sum[v]
    VECTORS(BEGIN);
    VECTORS(MEAN);
    ROWS(s) VECTORS(ADD);
    VECTORS(END);
#undef ADD
#undef MEAN
#undef BEGIN
#undef END
}

INLINE void scale_rows(const float *x, float *y, Strip s, const float *scale, const float *shift, const int relu,
                       const int vectors) {
    Wide by[MOST], plus[MOST];
#define BEGIN(v) by[v] = AT(scale + s.c, v), plus[v] = AT(shift + s.c, v)
#define SCALE(v)                                                    \
    do {                                                            \
        const Wide z = AT(x + at, v) * by[v] + plus[v];             \
        AT(y + at, v) = relu ? only(z, ~(z < 0)) : z; /* NaN stays */ \
    } while (0)
    VECTORS(BEGIN);
    ROWS(s) VECTORS(SCALE);
#undef BEGIN
}

/* y: x * scale + shift, cut at zero where `relu`. */
static void scaled(const float *x, float *y, const float *scale, const float *shift, int64_t rows, int64_t channels,
                   int relu) {
#define CUT(s, vectors) scale_rows(x, y, s, scale, shift, 1, vectors)
#define UNCUT(s, vectors) scale_rows(x, y, s, scale, shift, 0, vectors)
    if (relu) {
        STRIPS(CUT)
    } else
        STRIPS(UNCUT)
}

/* x * scale + shift is (x - mean) * root * weight + bias. */
static void linear(int64_t channels, const float *mean, const float *root, const float *weight, const float *bias,
                   float *scale, float *shift) {
    for (int64_t c = 0; c < channels; c++) {
        scale[c] = root[c] * weight[c];
        shift[c] = bias[c] - mean[c] * scale[c];
    }
}

/* What is kept of a forward pass, `channels` of each. */
#define KEPT(kept) mean = kept, *root = mean + channels, *scale = root + channels, *shift = scale + channels

/* With running statistics. */
void batch_norm_evaluated(const float *x, float *y, const float *weight, const float *bias, const float *running_mean,
                          const float *running_variance, int64_t rows, int64_t channels, double eps, int relu) {
    float root[channels], scale[channels], shift[channels];
    for (int64_t c = 0; c < channels; c++) root[c] = 1 / sqrtf(running_variance[c] + (float)eps);
    linear(channels, running_mean, root, weight, bias, scale, shift);
    scaled(x, y, scale, shift, rows, channels, relu);
}

/* The part of a running statistic that stays; a product that is rounded before anything is added to it. */
static float rest(float running, float momentum) {
    const volatile float rounded = (1 - momentum) * running;
    return rounded;
}

/* With the statistics of the batch; the running ones move, and the count of batches grows. */
void batch_norm_forward(const float *x, float *y, const float *weight, const float *bias, float *running_mean,
                        float *running_variance, int64_t *batches, int64_t rows, int64_t channels, float momentum,
                        double eps, int relu, float *kept) {
    float *KEPT(kept), *squares = root;
    for (int64_t c = 0; c < channels; c++) mean[c] = squares[c] = 0;
#define SUM(s, vectors) add_rows(x, s, mean, vectors)
    STRIPS(SUM)
    for (int64_t c = 0; c < channels; c++) mean[c] = (double)mean[c] / rows;
#define SQUARE(s, vectors) add_squares(x, s, mean, squares, vectors)
    STRIPS(SQUARE)
    for (int64_t c = 0; c < channels; c++) {
        const volatile float of_mean = momentum * mean[c]; /* rounded, and that of the variance is not */
        running_mean[c] = of_mean + rest(running_mean[c], momentum);
        running_variance[c] = fmaf(momentum, squares[c] / (rows - 1), rest(running_variance[c], momentum));
        root[c] = 1 / sqrt((double)(squares[c] / rows) + eps);
    }
    ++*batches;
    linear(channels, mean, root, weight, bias, scale, shift);
    scaled(x, y, scale, shift, rows, channels, relu);
}

/* The gradient that passed the relu: 0 where its result is not above 0. */
INLINE Wide passed(Wide dy, Wide x, Wide by, Wide plus, const int relu) {
    return relu ? only(dy, ~(x * by + plus <= 0)) : dy;
}

INLINE void add_gradients(const float *dy, const float *x, Strip s, int64_t channels, const float *kept, float *sums,
                          float *products, const int relu, const int vectors) {
    const float *KEPT(kept);
    Wide m[MOST], by[MOST], plus[MOST], sum[MOST], product[MOST];
    (void)root;
#define BEGIN(v)                                                                             \
    m[v] = AT(mean + s.c, v), by[v] = AT(scale + s.c, v), plus[v] = AT(shift + s.c, v),      \
    sum[v] = AT(sums + s.c, v), product[v] = AT(products + s.c, v)
#define ADD(v)                                                                               \
    do {                                                                                     \
        const Wide value = AT(x + at, v), dz = passed(AT(dy + at, v), value, by[v], plus[v], relu); \
        sum[v] += dz;                                                                        \
        product[v] = (value - m[v]) * dz + product[v];                                       \
    } while (0)
#define END(v) AT(sums + s.c, v) = sum[v], AT(products + s.c, v) = product[v]
    VECTORS(BEGIN);
    ROWS(s) VECTORS(ADD);
    VECTORS(END);
#undef BEGIN
}

INLINE void gradient_rows(const float *dy, const float *x, float *dx, Strip s, int64_t channels, const float *kept,
                          const float *weight, const float *slope, const float *level, const int relu,
                          const int vectors) {
    const float *KEPT(kept);
    Wide m[MOST], r[MOST], by[MOST], plus[MOST], w[MOST], k[MOST], l[MOST];
#define BEGIN(v)                                                                                               \
    m[v] = AT(mean + s.c, v), r[v] = AT(root + s.c, v), by[v] = AT(scale + s.c, v), plus[v] = AT(shift + s.c, v), \
    w[v] = AT(weight + s.c, v), k[v] = AT(slope + s.c, v), l[v] = AT(level + s.c, v)
#define GRADIENT(v)                                                                                  \
    do {                                                                                             \
        const Wide value = AT(x + at, v), dz = passed(AT(dy + at, v), value, by[v], plus[v], relu);  \
        AT(dx + at, v) = (dz - l[v] - (value - m[v]) * k[v]) * r[v] * w[v];                          \
    } while (0)
    VECTORS(BEGIN);
    ROWS(s) VECTORS(GRADIENT);
}

INLINE void backward(const float *dy, const float *x, float *dx, const float *weight, int64_t rows, int64_t channels,
                     const float *kept, float *dweight, float *dbias, const int relu) {
    const float *root = kept + channels;
    float products[channels], slope[channels], level[channels];
    for (int64_t c = 0; c < channels; c++) products[c] = dbias[c] = 0;
#define FIRST(s, vectors) add_gradients(dy, x, s, channels, kept, dbias, products, relu, vectors)
    STRIPS(FIRST)
    for (int64_t c = 0; c < channels; c++) {
        dweight[c] = products[c] * root[c];
        slope[c] = products[c] * root[c] * root[c] / (float)rows;
        level[c] = dbias[c] / (float)rows;
    }
#define SECOND(s, vectors) gradient_rows(dy, x, dx, s, channels, kept, weight, slope, level, relu, vectors)
    STRIPS(SECOND)
}

/* dx, dweight, dbias: the gradients of x, of weight and of bias. */
void batch_norm_backward(const float *dy, const float *x, float *dx, const float *weight, int64_t rows,
                         int64_t channels, int relu, const float *kept, float *dweight, float *dbias) {
    if (relu)
        backward(dy, x, dx, weight, rows, channels, kept, dweight, dbias, 1);
    else
        backward(dy, x, dx, weight, rows, channels, kept, dweight, dbias, 0);
}
