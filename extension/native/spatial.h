// Convolutions, pooling and batch norm, part of kernels.h. Channels come last; images are volumes of depth 1.

// How the positions of a convolution's result read its input: at each tap of the filter, a position further by an offset.
struct Taps {
  int64_t images;
  // Positions in each dimension: of the result's part that is computed, and of the input.
  const int64_t *positions, *input;
  int64_t channels;
  const int64_t *stride;
  int64_t count;
  // For each tap: an offset in each dimension, and which of the filter's matrices it has.
  const int64_t *taps;

  const int64_t *Tap(int64_t t) const { return taps + 4 * t; }

  // Where a position begins to read, before an offset is added.
  void Locate(int64_t i, int64_t (&at)[4]) const {
    for (int d = 2; d >= 0; d--) {
      at[d + 1] = i % positions[d] * stride[d];
      i /= positions[d];
    }
    at[0] = i;
  }

  // The channels that a tap reads; null in the padding.
  const float *Read(const float *x, const int64_t (&at)[4], const int64_t *tap) const {
    const int64_t z = at[1] + tap[0], y = at[2] + tap[1], w = at[3] + tap[2];
    if (static_cast<uint64_t>(z) >= static_cast<uint64_t>(input[0]) ||
        static_cast<uint64_t>(y) >= static_cast<uint64_t>(input[1]) ||
        static_cast<uint64_t>(w) >= static_cast<uint64_t>(input[2]))
      return nullptr;
    return x + (((at[0] * input[0] + z) * input[1] + y) * input[2] + w) * channels;
  }
};

// A matrix of a row for each position, and a column for each channel at each tap.
struct Patches {
  const Taps &taps;
  const float *x;

  Packed Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) const {
    const int64_t channels = taps.channels, end = from + terms;
    for (int64_t r = 0; r < rows; r++) {
      int64_t at[4];
      taps.Locate(first + r, at);
      float *put = to + r;
      for (int64_t p = from; p < end;) {
        const int64_t t = p / channels, c = p - t * channels, n = std::min(channels - c, end - p);
        const float *source = taps.Read(x, at, taps.Tap(t));
        if (source == nullptr) {
          for (int64_t i = 0; i < n; i++) put[i * TILE_ROWS] = 0.0f;
        } else {
          for (int64_t i = 0; i < n; i++) put[i * TILE_ROWS] = source[c + i];
        }
        put += n * TILE_ROWS;
        p += n;
      }
    }
    return {to, terms};
  }
};

// Channels from which on patches are read where they lie: copying fewer takes no longer than finding them.
constexpr int64_t MIN_RUN = 8;
alignas(64) constexpr float ZEROS[TERMS] = {};

// The same matrix, not copied.
struct PatchRuns {
  const Taps &taps;
  const float *x;
  Run runs[TERMS / MIN_RUN + 2];

  Runs Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *) {
    const int64_t channels = taps.channels, end = from + terms;
    for (int64_t r = 0; r < TILE_ROWS; r++) {
      int64_t at[4];
      taps.Locate(first + std::min(r, rows - 1), at);
      Run *run = runs;
      for (int64_t p = from; p < end; run++) {
        const int64_t t = p / channels, c = p - t * channels;
        const float *source = taps.Read(x, at, taps.Tap(t));
        run->length = std::min(channels - c, end - p);
        run->rows[r] = source == nullptr ? ZEROS : source + c;
        p += run->length;
      }
    }
    return {runs, runs + (end - 1) / channels - from / channels + 1};
  }
};

// The same matrix transposed: a row for each channel at each tap.
struct TurnedPatches {
  const Taps &taps;
  const float *x;

  Packed Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) const {
    const Packed result = {to, terms};
    const int64_t channels = taps.channels;
    int64_t at[4];
    taps.Locate(from, at);
    for (int64_t p = 0; p < terms; p++, to += TILE_ROWS) {
      for (int64_t r = 0; r < rows;) {
        const int64_t t = (first + r) / channels, c = first + r - t * channels, n = std::min(channels - c, rows - r);
        const float *source = taps.Read(x, at, taps.Tap(t));
        if (source == nullptr) {
          for (int64_t i = 0; i < n; i++) to[r + i] = 0.0f;
        } else {
          for (int64_t i = 0; i < n; i++) to[r + i] = source[c + i];
        }
        r += n;
      }
      for (int d = 3; d > 0; d--) {
        if ((at[d] += taps.stride[d - 1]) < taps.positions[d - 1] * taps.stride[d - 1]) break;
        at[d] = 0;
        if (d == 1) at[0]++;
      }
    }
    return result;
  }
};

// The matrices of a filter for its taps, one above the other.
struct Filters {
  const Taps &taps;
  const float *at;
  int64_t columns;
  bool transposed;

  void Pack(int64_t from, int64_t terms, int64_t first, int64_t width, float *to) const {
    const int64_t channels = taps.channels, end = from + terms;
    for (int64_t p = from; p < end;) {
      const int64_t t = p / channels, c = p - t * channels, n = std::min(channels - c, end - p);
      const Right own = {at + taps.Tap(t)[3] * channels * columns, channels, columns, transposed};
      own.Pack(c, n, first, width, to);
      to += n * TILE_COLUMNS;
      p += n;
    }
  }
};

// Rows of the result at every so many positions.
struct Spread {
  float *at;
  int64_t stride;
  const Taps &taps;
  const int64_t *sizes, *step, *begin;
  static constexpr bool EVEN = false;

  float *Row(int64_t i) const {
    int64_t place = 0, scale = 1;
    for (int d = 2; d >= 0; d--) {
      place += (i % taps.positions[d] * step[d] + begin[d]) * scale;
      i /= taps.positions[d];
      scale *= sizes[d];
    }
    return at + (place + i * scale) * stride;
  }
};

// Parameters: the part's rows and columns; images, positions, input's sizes, its channels, strides; the result's channels, sizes,
// steps and beginnings; whether the filter's matrices are transposed; taps.
struct Convolution {
  Part part;
  Taps taps;
  int64_t columns;
  const int64_t *sizes, *step, *begin;
  bool transposed;

  explicit Convolution(const int64_t *p)
      : part{p[0], p[1], p[2], p[3]},
        taps{p[4], p + 5, p + 8, p[11], p + 12, p[26], p + 27},
        columns(p[15]),
        sizes(p + 16),
        step(p + 19),
        begin(p + 22),
        transposed(p[25] != 0) {}
};

template <class A>
void ConvolveWith(const Convolution &v, A &&patches, const Filters &filters, float *out) {
  const int64_t depth = v.taps.count * v.taps.channels;
  bool dense = true;
  for (int d = 0; d < 3; d++) dense = dense && v.step[d] == 1 && v.begin[d] == 0 && v.sizes[d] == v.taps.positions[d];
  if (dense) Multiply(v.part, depth, patches, filters, Dense{out, v.columns});
  else Multiply(v.part, depth, patches, filters, Spread{out, v.columns, v.taps, v.sizes, v.step, v.begin});
}

bool Convolve(const Call &c) {
  const Convolution v(c.p);
  const Filters filters = {v.taps, c.To<float>(2), v.columns, v.transposed};
  const float *x = c.To<float>(1);
  if (v.taps.channels < MIN_RUN) ConvolveWith(v, Patches{v.taps, x}, filters, c.To<float>(0));
  else ConvolveWith(v, PatchRuns{v.taps, x, {}}, filters, c.To<float>(0));
  return true;
}

// The gradient of filters, from the input and the gradient of the result.
bool FilterGradient(const Call &c) {
  const Convolution v(c.p);
  const int64_t *n = v.taps.positions;
  const int64_t positions = v.taps.images * n[0] * n[1] * n[2];
  const Right gradient = {c.To<float>(2), positions, v.columns, false};
  Multiply(v.part, positions, TurnedPatches{v.taps, c.To<float>(1)}, gradient, Dense{c.To<float>(0), v.columns});
  return true;
}

// ---- Pooling ----

// Parameters: images from and to; height and width of the result and of the input; channels; window; strides.
struct Pooling {
  int64_t from, to, height, width, rows, columns, channels, high, wide, down, right;

  explicit Pooling(const int64_t *p)
      : from(p[0]), to(p[1]), height(p[2]), width(p[3]), rows(p[4]), columns(p[5]), channels(p[6]), high(p[7]), wide(p[8]),
        down(p[9]), right(p[10]) {}
};

bool MaxPool(const Call &c) {
  const Pooling v(c.p);
  const int64_t n = v.channels;
  float *out = c.To<float>(0) + v.from * v.height * v.width * n;
  for (int64_t image = v.from; image < v.to; image++)
    for (int64_t y = 0; y < v.height; y++)
      for (int64_t x = 0; x < v.width; x++, out += n) {
        const float *window = c.To<float>(1) + ((image * v.rows + y * v.down) * v.columns + x * v.right) * n;
        std::copy_n(window, n, out);
        for (int64_t i = 0; i < v.high; i++)
          for (int64_t j = i == 0 ? 1 : 0; j < v.wide; j++) {
            const float *cell = window + (i * v.columns + j) * n;
            for (int64_t q = 0; q < n; q++) out[q] = MaximumF::Of(out[q], cell[q]);
          }
      }
  return true;
}

// Each window's gradient goes to its first maximum, or to its last NaN.
bool MaxPoolGrad(const Call &c) {
  const Pooling v(c.p);
  const int64_t n = v.channels;
  const int64_t size = v.rows * v.columns * n;
  float *most = Scratch(2 * n, 0);
  int32_t *where = reinterpret_cast<int32_t *>(most + n);
  std::fill_n(c.To<float>(0) + v.from * size, (v.to - v.from) * size, 0.0f);
  const float *gradient = c.To<float>(2) + v.from * v.height * v.width * n;
  for (int64_t image = v.from; image < v.to; image++)
    for (int64_t y = 0; y < v.height; y++)
      for (int64_t x = 0; x < v.width; x++, gradient += n) {
        const int64_t place = ((image * v.rows + y * v.down) * v.columns + x * v.right) * n;
        const float *window = c.To<float>(1) + place;
        std::copy_n(window, n, most);
        std::fill_n(where, n, 0);
        for (int64_t i = 0; i < v.high; i++)
          for (int64_t j = i == 0 ? 1 : 0; j < v.wide; j++) {
            const int32_t offset = static_cast<int32_t>(i * v.columns + j);
            const float *cell = window + offset * n;
            for (int64_t q = 0; q < n; q++) {
              const bool more = cell[q] > most[q] || cell[q] != cell[q];
              most[q] = more ? cell[q] : most[q];
              where[q] = more ? offset : where[q];
            }
          }
        float *to = c.To<float>(0) + place;
        for (int64_t q = 0; q < n; q++) to[where[q] * n + q] += gradient[q];
      }
  return true;
}

// ---- Batch norm ----

// From input, weight, bias, mean and variance. Parameters: rows, channels, epsilon.
bool BatchNorm(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1), *weight = c.To<float>(2), *bias = c.To<float>(3), *mean = c.To<float>(4);
  const int64_t n = c.p[1];
  float *scale = Scratch(n, 0);
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  for (int64_t q = 0; q < n; q++) scale[q] = weight[q] / std::sqrt(c.To<float>(5)[q] + epsilon);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += n) {
    SAME_INDEX
    for (int64_t q = 0; q < n; q++) out[q] = (x[q] - mean[q]) * scale[q] + bias[q];
  }
  return true;
}

// Gradients of input, weight and bias, from those of the result, input, weight, mean and variance.
bool BatchNormGrad(const Call &c) {
  float *out = c.To<float>(0), *weightGrad = c.To<float>(1), *biasGrad = c.To<float>(2);
  const float *g = c.To<float>(3), *x = c.To<float>(4), *weight = c.To<float>(5), *mean = c.To<float>(6);
  const int64_t rows = c.p[0], n = c.p[1];
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  double *sums = reinterpret_cast<double *>(Scratch(7 * n, 0));
  double *products = sums + n;
  float *scale = reinterpret_cast<float *>(products + n), *slope = scale + n, *average = slope + n;
  std::fill_n(sums, 2 * n, 0.0);
  for (int64_t r = 0; r < rows; r++)
    for (int64_t q = 0; q < n; q++) {
      const float gradient = g[r * n + q];
      sums[q] += gradient;
      products[q] += static_cast<double>(gradient * (x[r * n + q] - mean[q]));
    }
  for (int64_t q = 0; q < n; q++) {
    const double root = 1 / std::sqrt(static_cast<double>(c.To<float>(7)[q] + epsilon));
    scale[q] = static_cast<float>(weight[q] * root);
    slope[q] = static_cast<float>(products[q] * root * root / rows);
    average[q] = static_cast<float>(sums[q] / rows);
    weightGrad[q] = static_cast<float>(products[q] * root);
    biasGrad[q] = static_cast<float>(sums[q]);
  }
  for (int64_t r = 0; r < rows; r++, x += n, g += n, out += n) {
    SAME_INDEX
    for (int64_t q = 0; q < n; q++) out[q] = (g[q] - average[q] - (x[q] - mean[q]) * slope[q]) * scale[q];
  }
  return true;
}
