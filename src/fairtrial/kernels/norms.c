/* Norms with the relu that follows them, forward and backward, of maps in channels-last.

   x: (images, pixels, channels). A statistic is one of channels / groups channels of one image: GN, LN and IN.
   One thread treats an image from end to end, and sums of images are added in their order, so the number of
   threads changes no bit. */

#include <math.h>
#include <stdint.h>
#include <string.h>

#define LANES 32 /* values of a row that are treated at a time: sums of so many stay in registers */
#define RUN 128  /* rows that are added in single precision before they join the others in double */
#define INLINE static inline __attribute__((always_inline))

/* Half a row. Compilers keep arrays of sums in memory, which takes six times as long as registers do. */
typedef float Half __attribute__((vector_size(4 * LANES / 2), aligned(4), may_alias));
typedef int32_t Bits __attribute__((vector_size(4 * LANES / 2), aligned(4), may_alias));

/* The maps of a layer, and what its statistics are over. */
typedef struct {
    int64_t images, pixels, channels, groups, size, each;
} Shape;

static Shape shape_of(int64_t images, int64_t pixels, int64_t channels, int64_t groups) {
    return (Shape){images, pixels, channels, groups, pixels * channels, channels / groups};
}

/* Some channels of one image, as rows: `width` channels from the `first` one on, of `times` pixels each. */
typedef struct {
    int64_t rows, step, first;
    int width, times, n;
} Strip;

static Strip strip_at(int64_t first, int64_t pixels, int64_t channels) {
    const int64_t left = channels - first;
    Strip b = {pixels, channels, first, left < LANES ? left : LANES, 1, 0};
    if (channels < LANES && LANES % channels == 0 && pixels % (LANES / channels) == 0) {
        b.times = LANES / channels;
        b.rows = pixels / b.times;
        b.step = LANES;
    }
    b.n = b.width * b.times;
    return b;
}

/* lanes: the value of each place in a row. each: channels that have one value. */
static void spread(Strip b, const float *values, int64_t each, float *lanes) {
    if (each == 1)
        memcpy(lanes, values + b.first, b.width * sizeof(float));
    else {
        int64_t place = b.first / each, left = each - b.first % each;
        for (int j = 0; j < b.width; j++) {
            lanes[j] = values[place];
            if (--left == 0) place++, left = each;
        }
    }
    for (int t = 1; t < b.times; t++) memcpy(lanes + t * b.width, lanes, b.width * sizeof(float));
}

static void join(const Half *sums, double *total) {
    float lanes[LANES];
    memcpy(lanes, sums, sizeof lanes);
    for (int j = 0; j < LANES; j++) total[j] += lanes[j];
}

/* Sums over the rows of (x - begin) and of its square; of whole rows. */
static void whole_moment_sums(const float *x, Strip b, const float *begin, double *total, double *squares) {
    const Half begin0 = *(const Half *)begin, begin1 = *(const Half *)(begin + LANES / 2);
    for (int64_t row = 0; row < b.rows;) {
        const int64_t end = row + RUN < b.rows ? row + RUN : b.rows;
        Half s[2] = {{0}}, q[2] = {{0}};
        for (; row < end; row++) {
            const float *v = x + row * b.step;
            const Half d0 = *(const Half *)v - begin0, d1 = *(const Half *)(v + LANES / 2) - begin1;
            s[0] += d0, s[1] += d1;
            q[0] += d0 * d0, q[1] += d1 * d1;
        }
        join(s, total), join(q, squares);
    }
}

/* The same of shorter rows. */
INLINE void moment_sums(const float *restrict x, Strip b, const int n, const float *restrict begin,
                        double *restrict total, double *restrict squares) {
    for (int64_t row = 0; row < b.rows;) {
        const int64_t end = row + RUN < b.rows ? row + RUN : b.rows;
        float s[LANES] = {0}, q[LANES] = {0};
        for (; row < end; row++) {
            const float *v = x + row * b.step;
            for (int j = 0; j < n; j++) {
                const float d = v[j] - begin[j];
                s[j] += d;
                q[j] += d * d;
            }
        }
        for (int j = 0; j < n; j++) total[j] += s[j], squares[j] += q[j];
    }
}

/* The mean of each channel of one image, and the sum of its squared deviations. */
static void moments(const float *x, Shape h, float *mean, float *square) {
    for (int64_t first = 0; first < h.channels; first += LANES) {
        const Strip b = strip_at(first, h.pixels, h.channels);
        float begin[LANES]; /* what is subtracted, so that a mean far from zero rounds nothing away */
        double total[LANES] = {0}, squares[LANES] = {0};
        for (int j = 0; j < b.n; j++) begin[j] = x[first + j];
        if (b.n == LANES)
            whole_moment_sums(x + first, b, begin, total, squares);
        else
            moment_sums(x + first, b, b.n, begin, total, squares);
        const double share = 1.0 / b.rows, part = 1.0 / b.times;
        if (b.times == 1)
            for (int j = 0; j < b.n; j++) {
                const double own = total[j] * share, sum = squares[j] - total[j] * own;
                mean[first + j] = begin[j] + own;
                square[first + j] = sum < 0 ? 0 : sum;
            }
        else
            for (int j = 0; j < b.width; j++) {
                double m = 0, sum = 0;
                for (int k = j; k < b.n; k += b.width) m += begin[k] + total[k] * share;
                m *= part;
                for (int k = j; k < b.n; k += b.width) {
                    const double own = total[k] * share, away = begin[k] + own - m;
                    sum += squares[k] - total[k] * own + b.rows * away * away;
                }
                mean[first + j] = m;
                square[first + j] = sum < 0 ? 0 : sum;
            }
    }
}

/* Statistic k, from the moments of its images and channels -> scale and shift of its channels. */
static void statistic(int64_t k, Shape h, const float *means, const float *squares, const float *weight,
                      const float *bias, float eps, float *mean, float *variance, float *scale, float *shift) {
    const int64_t c0 = k % h.groups * h.each, begin = k / h.groups * h.channels + c0;
    double m = 0, sum = 0;
#pragma omp simd reduction(+ : m)
    for (int64_t c = 0; c < h.each; c++) m += means[begin + c];
    m /= h.each;
#pragma omp simd reduction(+ : sum)
    for (int64_t c = 0; c < h.each; c++) {
        const double away = means[begin + c] - m;
        sum += squares[begin + c] + h.pixels * away * away;
    }
    mean[k] = m;
    variance[k] = sum / (h.each * h.pixels);
    const double root = 1 / sqrt((double)variance[k] + eps);
#pragma omp simd
    for (int64_t c = 0; c < h.each; c++) {
        scale[begin + c] = weight[c0 + c] * root;
        shift[begin + c] = bias[c0 + c] - m * root * weight[c0 + c];
    }
}

INLINE void scaled_rows(const float *restrict x, float *restrict y, Strip b, const int n, const float *restrict by,
                        const float *restrict plus, const int relu) {
    for (int64_t row = 0; row < b.rows; row++) {
        const float *v = x + row * b.step;
        float *out = y + row * b.step;
        for (int j = 0; j < n; j++) {
            const float z = v[j] * by[j] + plus[j];
            out[j] = relu && z < 0 ? 0 : z; /* NaN stays */
        }
    }
}

static void scaled(const float *x, float *y, Shape h, const float *scale, const float *shift, int relu) {
    for (int64_t first = 0; first < h.channels; first += LANES) {
        const Strip b = strip_at(first, h.pixels, h.channels);
        float by[LANES], plus[LANES];
        spread(b, scale, 1, by), spread(b, shift, 1, plus);
        if (b.n < LANES)
            scaled_rows(x + first, y + first, b, b.n, by, plus, relu);
        else if (relu)
            scaled_rows(x + first, y + first, b, LANES, by, plus, 1);
        else
            scaled_rows(x + first, y + first, b, LANES, by, plus, 0);
    }
}

/* What is kept of a forward pass: mean and variance of the population, (images, groups) each; scale and
   shift, (images, channels) each. */
#define KEPT(kept)                                                                                   \
    mean = kept, *variance = mean + h.images * h.groups, *scale = variance + h.images * h.groups,        \
    *shift = scale + h.images * h.channels

/* room: for 2 * images * channels values. */
void norm_forward(const float *x, float *y, const float *weight, const float *bias, int64_t images,
                  int64_t pixels, int64_t channels, int64_t groups, float eps, int relu,
                  float *kept, float *room) {
    const Shape h = shape_of(images, pixels, channels, groups);
    float *KEPT(kept);
    float *means = room, *squares = room + images * channels;
#pragma omp parallel for schedule(static)
    for (int64_t i = 0; i < images; i++) { /* an image is in the caches when it is read again */
        moments(x + i * h.size, h, means + i * channels, squares + i * channels);
        for (int64_t k = i * groups; k < (i + 1) * groups; k++)
            statistic(k, h, means, squares, weight, bias, eps, mean, variance, scale, shift);
        scaled(x + i * h.size, y + i * h.size, h, scale + i * channels, shift + i * channels, relu);
    }
}

/* Sums over the rows of dz, the gradient that passed the relu, and of dz * (x - centre); of whole rows. */
INLINE void whole_gradient_sums(const float *dy, const float *x, Strip b, const float *by, const float *plus,
                                const float *centre, const int relu, double *total, double *products) {
    const Half *scale = (const Half *)by, *shift = (const Half *)plus, *mean = (const Half *)centre;
    const Half by0 = scale[0], by1 = scale[1], plus0 = shift[0], plus1 = shift[1], mean0 = mean[0], mean1 = mean[1];
    for (int64_t row = 0; row < b.rows;) {
        const int64_t end = row + RUN < b.rows ? row + RUN : b.rows;
        Half s[2] = {{0}}, q[2] = {{0}};
        for (; row < end; row++) {
            const Half *v = (const Half *)(x + row * b.step), *d = (const Half *)(dy + row * b.step);
            Half dz0 = d[0], dz1 = d[1];
            if (relu) {
                dz0 = (Half)((Bits)dz0 & ~(Bits)(v[0] * by0 + plus0 <= 0));
                dz1 = (Half)((Bits)dz1 & ~(Bits)(v[1] * by1 + plus1 <= 0));
            }
            s[0] += dz0, s[1] += dz1;
            q[0] += dz0 * (v[0] - mean0), q[1] += dz1 * (v[1] - mean1);
        }
        join(s, total), join(q, products);
    }
}

/* The same of shorter rows. */
INLINE void gradient_sums(const float *restrict dy, const float *restrict x, Strip b, const int n,
                          const float *restrict by, const float *restrict plus, const float *restrict centre,
                          const int relu, double *restrict total, double *restrict products) {
    for (int64_t row = 0; row < b.rows;) {
        const int64_t end = row + RUN < b.rows ? row + RUN : b.rows;
        float s[LANES] = {0}, q[LANES] = {0};
        for (; row < end; row++) {
            const float *v = x + row * b.step, *d = dy + row * b.step;
            for (int j = 0; j < n; j++) {
                const float dz = relu && v[j] * by[j] + plus[j] <= 0 ? 0 : d[j];
                s[j] += dz;
                q[j] += dz * (v[j] - centre[j]);
            }
        }
        for (int j = 0; j < n; j++) total[j] += s[j], products[j] += q[j];
    }
}

/* The same for each channel of image i. */
static void channel_sums(int64_t i, Shape h, const float *dy, const float *x, const float *mean, const float *scale,
                         const float *shift, int relu, float *sums, float *products) {
    for (int64_t first = 0; first < h.channels; first += LANES) {
        const Strip b = strip_at(first, h.pixels, h.channels);
        const float *d = dy + i * h.size + first, *v = x + i * h.size + first;
        float by[LANES], plus[LANES], centre[LANES];
        double total[LANES] = {0}, product[LANES] = {0};
        spread(b, scale + i * h.channels, 1, by), spread(b, shift + i * h.channels, 1, plus);
        spread(b, mean + i * h.groups, h.each, centre);
        if (b.n < LANES)
            gradient_sums(d, v, b, b.n, by, plus, centre, relu, total, product);
        else if (relu)
            whole_gradient_sums(d, v, b, by, plus, centre, 1, total, product);
        else
            whole_gradient_sums(d, v, b, by, plus, centre, 0, total, product);
        for (int j = 0; j < b.width; j++) {
            double t = 0, p = 0;
            for (int k = j; k < b.n; k += b.width) t += total[k], p += product[k];
            sums[i * h.channels + first + j] = t;
            products[i * h.channels + first + j] = p;
        }
    }
}

/* Of statistic k -> the gradient of x is scale * dz + slant * (x - mean) + rest. The products become those with
   the normalized x. */
static void coefficients(int64_t k, Shape h, const float *sums, float *products, const float *weight, float eps,
                         const float *variance, float *slant, float *rest) {
    const int64_t c0 = k % h.groups * h.each, begin = k / h.groups * h.channels + c0;
    const double root = 1 / sqrt((double)variance[k] + eps), part = root / (h.each * h.pixels);
    double sum = 0, product = 0;
#pragma omp simd reduction(+ : sum, product)
    for (int64_t c = 0; c < h.each; c++) {
        const double normalized = products[begin + c] * root;
        sum += (double)weight[c0 + c] * sums[begin + c];
        product += weight[c0 + c] * normalized;
        products[begin + c] = normalized;
    }
    slant[k] = -root * part * product;
    rest[k] = -part * sum;
}

INLINE void gradient_rows(const float *restrict dy, const float *restrict x, float *restrict dx, Strip b, const int n,
                          const float *restrict by, const float *restrict plus, const float *restrict slope,
                          const float *restrict level, const float *restrict centre, const int relu) {
    for (int64_t row = 0; row < b.rows; row++) {
        const float *v = x + row * b.step, *d = dy + row * b.step;
        float *out = dx + row * b.step;
        for (int j = 0; j < n; j++) {
            const float dz = relu && v[j] * by[j] + plus[j] <= 0 ? 0 : d[j];
            out[j] = by[j] * dz + (slope[j] * (v[j] - centre[j]) + level[j]);
        }
    }
}

static void gradient(int64_t i, Shape h, const float *dy, const float *x, float *dx, const float *mean,
                     const float *scale, const float *shift, const float *slant, const float *rest, int relu) {
    for (int64_t first = 0; first < h.channels; first += LANES) {
        const Strip b = strip_at(first, h.pixels, h.channels);
        const int64_t at = i * h.size + first;
        float by[LANES], plus[LANES], centre[LANES], slope[LANES], level[LANES];
        spread(b, scale + i * h.channels, 1, by), spread(b, shift + i * h.channels, 1, plus);
        spread(b, mean + i * h.groups, h.each, centre);
        spread(b, slant + i * h.groups, h.each, slope), spread(b, rest + i * h.groups, h.each, level);
        if (b.n < LANES)
            gradient_rows(dy + at, x + at, dx + at, b, b.n, by, plus, slope, level, centre, relu);
        else if (relu)
            gradient_rows(dy + at, x + at, dx + at, b, LANES, by, plus, slope, level, centre, 1);
        else
            gradient_rows(dy + at, x + at, dx + at, b, LANES, by, plus, slope, level, centre, 0);
    }
}

/* dx: the gradient of x. given: (2, channels), the gradients of weight and bias. room: for 2 * images *
   (channels + groups) values. */
void norm_backward(const float *dy, const float *x, float *dx, const float *weight, int64_t images, int64_t pixels,
                   int64_t channels, int64_t groups, float eps, int relu, const float *kept,
                   float *given, float *room) {
    const Shape h = shape_of(images, pixels, channels, groups);
    const float *KEPT(kept);
    float *sums = room, *products = sums + images * channels;
    float *slant = products + images * channels, *rest = slant + h.images * groups;
#pragma omp parallel
    {
#pragma omp for schedule(static)
        for (int64_t i = 0; i < images; i++) {
            channel_sums(i, h, dy, x, mean, scale, shift, relu, sums, products);
            for (int64_t k = i * groups; k < (i + 1) * groups; k++)
                coefficients(k, h, sums, products, weight, eps, variance, slant, rest);
            gradient(i, h, dy, x, dx, mean, scale, shift, slant, rest, relu);
        }
#pragma omp for schedule(static)
        for (int64_t first = 0; first < channels; first += LANES) {
            const int n = channels - first < LANES ? channels - first : LANES;
            double scales[LANES] = {0}, shifts[LANES] = {0};
            for (int64_t i = 0; i < images; i++)
                for (int j = 0; j < n; j++) {
                    scales[j] += products[i * channels + first + j];
                    shifts[j] += sums[i * channels + first + j];
                }
            for (int j = 0; j < n; j++) given[first + j] = scales[j], given[channels + first + j] = shifts[j];
        }
    }
}
