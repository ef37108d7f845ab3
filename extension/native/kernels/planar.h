// Convolutions with few channels in their result, part of kernels.h. Registers hold positions that follow one another, and not
// channels, most of which would be missing. For that, images are copied with each channel's row in one piece.

// Registers of positions that are computed at once.
constexpr int PLANAR_VECTORS = LANES == 16 ? 3 : 1;

// An image with zeros around it: for each channel, row and remainder by the stride, the columns of that remainder.
class Planes {
 public:
  explicit Planes(const Taps &taps) : taps_(taps) {
    for (int d = 0; d < 3; d++) {
      int64_t high = low_[d] = taps.Tap(0)[d];
      for (int64_t t = 1; t < taps.count; t++) {
        low_[d] = std::min(low_[d], taps.Tap(t)[d]);
        high = std::max(high, taps.Tap(t)[d]);
      }
      sizes_[d] = (taps.positions[d] - 1) * taps.stride[d] + high - low_[d] + 1;
    }
    width_ = (sizes_[2] + taps.stride[2] - 1) / taps.stride[2] + PLANAR_VECTORS * LANES;
    row_ = width_ * taps.stride[2];
    plane_ = sizes_[0] * sizes_[1] * row_;
    thread_local std::vector<float> values;
    thread_local std::vector<int64_t> offsets;
    values.assign(taps.channels * plane_, 0.0f);
    offsets.clear();
    for (int64_t t = 0; t < taps.count; t++) {
      const int64_t *tap = taps.Tap(t), z = tap[0] - low_[0], y = tap[1] - low_[1], x = tap[2] - low_[2];
      const int64_t at = (z * sizes_[1] + y) * row_ + x % taps.stride[2] * width_ + x / taps.stride[2];
      for (int64_t c = 0; c < taps.channels; c++) offsets.push_back(c * plane_ + at);
    }
    values_ = values.data();
    offsets_ = offsets.data();
  }

  // Copies an image. What lies around it stays zero.
  void Read(const float *x, int64_t image) {
    const int64_t *size = taps_.input, stride = taps_.stride[2], channels = taps_.channels;
    const int64_t begin = std::max<int64_t>(0, -low_[2]), end = std::min(sizes_[2], size[2] - low_[2]);
    for (int64_t z = 0; z < sizes_[0]; z++)
      for (int64_t y = 0; y < sizes_[1]; y++) {
        const int64_t depth = z + low_[0], height = y + low_[1];
        if (depth < 0 || depth >= size[0] || height < 0 || height >= size[1]) continue;
        const float *source = x + (((image * size[0] + depth) * size[1] + height) * size[2] + begin + low_[2]) * taps_.pitch;
        float *row = values_ + (z * sizes_[1] + y) * row_;
        for (int64_t rest = 0; rest < stride; rest++) {
          const int64_t first = begin + (rest - begin % stride + stride) % stride;
          for (int64_t c = 0; c < channels && first < end; c++)
            Take(row + c * plane_ + rest * width_ + first / stride, source + (first - begin) * taps_.pitch + c, stride * taps_.pitch,
                   (end - first + stride - 1) / stride);
        }
      }
  }

  // What the first position of a row of the result reads, before an offset is added.
  const float *Row(int64_t z, int64_t y) const {
    return values_ + (z * taps_.stride[0] * sizes_[1] + y * taps_.stride[1]) * row_;
  }

  // For each channel at each tap, where it lies from there on.
  const int64_t *offsets() const { return offsets_; }

 private:
  static void Take(float *to, const float *from, int64_t step, int64_t count) {
    if (step == 1) std::copy_n(from, count, to);
    else for (int64_t i = 0; i < count; i++) to[i] = from[i * step];
  }

  const Taps &taps_;
  int64_t low_[3], sizes_[3], width_, row_, plane_;
  float *values_;
  int64_t *offsets_;
};

// Some positions of a row, for all channels of the result. `filter` has WIDTH numbers for each term.
template <int WIDTH, int VECTORS>
void PlanarTile(int64_t terms, const float *x, const int64_t *offsets, const float *filter, float *out, int64_t ldo, bool add) {
  Vector sums[WIDTH][VECTORS];
  Clear(sums);
  for (int64_t p = 0; p < terms; p++, filter += WIDTH) {
    const float *from = x + offsets[p];
    Vector in[VECTORS];
    for (int v = 0; v < VECTORS; v++) in[v] = Load(from + v * LANES);
    for (int q = 0; q < WIDTH; q++) {
      const Vector f = Splat(filter[q]);
      for (int v = 0; v < VECTORS; v++) sums[q][v] += f * in[v];
    }
  }
  for (int q = 0; q < WIDTH; q++)
    for (int v = 0; v < VECTORS; v++) {
      float *to = out + q * ldo + v * LANES;
      Store(to, add ? Load(to) + sums[q][v] : sums[q][v]);
    }
}

// Rows of the result, those of all images counted one after the other.
template <int WIDTH>
void PlanarRows(const Convolution &v, const float *x, const float *filters, float *out) {
  const Taps &taps = v.taps;
  const int64_t depth = taps.count * taps.channels, columns = taps.positions[2];
  const int64_t rows = taps.positions[0] * taps.positions[1];
  constexpr int64_t STEP = PLANAR_VECTORS * LANES;
  const int64_t ldo = (columns + STEP - 1) / STEP * STEP;
  float *filter = Scratch(depth * WIDTH + WIDTH * ldo, 0), *sums = filter + depth * WIDTH;
  for (int64_t t = 0; t < taps.count; t++)
    for (int64_t c = 0; c < taps.channels; c++)
      for (int q = 0; q < WIDTH; q++)
        filter[(t * taps.channels + c) * WIDTH + q] =
            filters[taps.Tap(t)[3] * v.filterSize + (v.transposed ? q * v.filterColumns + c : c * v.filterColumns + q)];
  Planes planes(taps);
  const Spread result = {out, v.pitch, taps, v.sizes, v.step, v.begin};
  int64_t image = -1;
  for (int64_t r = v.part.row; r < v.part.rowEnd; r++) {
    if (r / rows != image) planes.Read(x, image = r / rows);
    const int64_t y = r % rows;
    const float *source = planes.Row(y / taps.positions[1], y % taps.positions[1]);
    for (int64_t from = 0; from < depth; from += TERMS) {
      const int64_t terms = std::min(TERMS, depth - from);
      const int64_t *offsets = planes.offsets() + from;
      const float *part = filter + from * WIDTH;
      int64_t i = 0;
      for (; i + STEP <= columns; i += STEP)
        PlanarTile<WIDTH, PLANAR_VECTORS>(terms, source + i, offsets, part, sums + i, ldo, from > 0);
      for (; i < columns; i += LANES)
        PlanarTile<WIDTH, 1>(terms, source + i, offsets, part, sums + i, ldo, from > 0);
    }
    float *to = result.Row(r * columns);
    for (int64_t i = 0; i < columns; i++, to += v.step[2] * v.pitch)
      for (int q = 0; q < WIDTH; q++) to[q] = sums[q * ldo + i];
  }
}

// Channels at taps that are multiplied with the gradients at once: as many sums as there are registers for.
template <int WIDTH>
constexpr int PLANAR_TERMS = std::max(1, std::min(6, (LANES == 16 ? 24 : 10) / WIDTH));

// The first numbers of a register, and zeros: what follows a row may be no number.
inline Vector First(Vector x, int64_t count) {
  Bits kept;
  for (int i = 0; i < LANES; i++) kept[i] = i < count ? -1 : 0;
  return reinterpret_cast<Vector>(reinterpret_cast<Bits>(x) & kept);
}

// Adds up the products of some terms with all channels of the gradient, over some rows.
template <int WIDTH, int TERMS_TOGETHER>
void PlanarDots(const Planes &planes, const int64_t *offsets, const Taps &taps, const float *g, int64_t ldg, double *sums) {
  const int64_t rows = taps.positions[0] * taps.positions[1], plane = rows * ldg;
  for (int64_t r = 0; r < rows;) {
    Vector products[TERMS_TOGETHER][WIDTH];
    Clear(products);
    for (const int64_t end = std::min(rows, r + std::max<int64_t>(1, TERMS * LANES / ldg)); r < end; r++) {
      const float *x = planes.Row(r / taps.positions[1], r % taps.positions[1]), *gradient = g + r * ldg;
      for (int64_t i = 0; i < ldg; i += LANES) {
        Vector in[TERMS_TOGETHER];
        for (int t = 0; t < TERMS_TOGETHER; t++) in[t] = Load(x + offsets[t] + i);
        if (const int64_t rest = taps.positions[2] - i; rest < LANES)
          for (int t = 0; t < TERMS_TOGETHER; t++) in[t] = First(in[t], rest);
        for (int q = 0; q < WIDTH; q++) {
          const Vector y = Load(gradient + q * plane + i);
          for (int t = 0; t < TERMS_TOGETHER; t++) products[t][q] += in[t] * y;
        }
      }
    }
    for (int t = 0; t < TERMS_TOGETHER; t++)
      for (int q = 0; q < WIDTH; q++) sums[t * WIDTH + q] += SumLanes(products[t][q]);
  }
}

template <int WIDTH>
void PlanarFilter(const Convolution &v, const float *x, const float *g, float *out) {
  const Taps &taps = v.taps;
  const int64_t columns = taps.positions[2], rows = taps.positions[0] * taps.positions[1];
  const int64_t ldg = (columns + LANES - 1) / LANES * LANES, from = v.part.row, count = v.part.rowEnd - from;
  constexpr int TOGETHER = PLANAR_TERMS<WIDTH>;
  Planes planes(taps);
  float *gradient = Scratch(WIDTH * rows * ldg, 0);
  double *sums = reinterpret_cast<double *>(Scratch(2 * count * WIDTH, 1));
  std::fill_n(gradient, WIDTH * rows * ldg, 0.0f);
  std::fill_n(sums, count * WIDTH, 0.0);
  for (int64_t image = 0; image < taps.images; image++) {
    planes.Read(x, image);
    const float *source = g + image * rows * columns * v.pitch;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t i = 0; i < columns; i++, source += v.pitch)
        for (int q = 0; q < WIDTH; q++) gradient[(q * rows + r) * ldg + i] = source[q];
    const int64_t *offsets = planes.offsets() + from;
    int64_t p = 0;
    for (; p + TOGETHER <= count; p += TOGETHER)
      PlanarDots<WIDTH, TOGETHER>(planes, offsets + p, taps, gradient, ldg, sums + p * WIDTH);
    for (; p < count; p++) PlanarDots<WIDTH, 1>(planes, offsets + p, taps, gradient, ldg, sums + p * WIDTH);
  }
  for (int64_t p = 0; p < count; p++)
    for (int q = 0; q < WIDTH; q++) out[(from + p) * v.pitch + q] = static_cast<float>(sums[p * WIDTH + q]);
}

#define FOR_WIDTHS(Name, ...) \
  switch (c.p[29]) { \
    case 1: Name<1>(__VA_ARGS__); break; \
    case 2: Name<2>(__VA_ARGS__); break; \
    case 3: Name<3>(__VA_ARGS__); break; \
    case 4: Name<4>(__VA_ARGS__); break; \
    case 5: Name<5>(__VA_ARGS__); break; \
    case 6: Name<6>(__VA_ARGS__); break; \
    case 7: Name<7>(__VA_ARGS__); break; \
    default: Name<8>(__VA_ARGS__); \
  }

bool ConvolvePlanar(const Call &c) {
  const Convolution v(c.p);
  FOR_WIDTHS(PlanarRows, v, c.To<float>(1), c.To<float>(2), c.To<float>(0))
  return true;
}

bool FilterGradientPlanar(const Call &c) {
  const Convolution v(c.p);
  FOR_WIDTHS(PlanarFilter, v, c.To<float>(1), c.To<float>(2), c.To<float>(0))
  return true;
}
#undef FOR_WIDTHS
