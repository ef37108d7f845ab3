// Convolutions of groups with few channels, part of kernels.h. A register holds channels that lie side by side, of several groups:
// matrices of a single group would be too narrow for it. Channels of a block are copied first, with the padding's zeros.

inline Vector Permuted(Vector v, const int32_t *from) {
#if LANES == 16
  return reinterpret_cast<Vector>(_mm512_permutexvar_ps(_mm512_loadu_si512(from), reinterpret_cast<__m512>(v)));
#elif LANES == 8
  const __m256i order = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
  return reinterpret_cast<Vector>(_mm256_permutevar8x32_ps(reinterpret_cast<__m256>(v), order));
#else
  float given[LANES], taken[LANES];
  Store(given, v);
  for (int l = 0; l < LANES; l++) taken[l] = given[from[l]];
  return Load(taken);
#endif
}

// What a block of channels reads: each its group's first channel, or one that follows it.
class Lanes {
 public:
  // Of groups with `written` channels, which read groups with `read` channels of a tensor with so many numbers.
  Lanes(int64_t begin, int64_t width, int64_t written, int64_t read, const float *x, int64_t floats)
      : first_(begin / written * read), width_(static_cast<int>(width)), last_(x + floats - LANES) {
    for (int l = 0; l < LANES; l++)
      from_[l] = l < width_ ? static_cast<int32_t>((begin + l) / written * read - first_) : 0;
    straight_ = written == 1 && read == 1;
    near_ = from_[width_ - 1] < LANES;
  }

  // Lanes beyond the block's width may have any number.
  Vector Read(const float *position, int64_t j) const {
    const float *source = position + first_ + j;
    if (near_ && source <= last_) return straight_ ? Load(source) : Permuted(Load(source), from_);
    float taken[LANES] = {};
    for (int l = 0; l < width_; l++) taken[l] = source[from_[l]];
    return Load(taken);
  }

 private:
  const int64_t first_;
  const int width_;
  // The last place from where a whole register may be read.
  const float *const last_;
  int32_t from_[LANES];
  bool straight_, near_;
};

// A part of the result's positions, and what they read.
class Window {
 public:
  // The shape of one copied channel, of positions with LANES numbers.
  int64_t planes, rows, columns;

  // For parts of at most so many columns, of which `copies` channels are copied.
  Window(const Taps &taps, int64_t most, int64_t copies) : taps_(taps), high(taps.positions[1]), wide(taps.positions[2]) {
    // Numbers that fit into half of the second cache.
    constexpr int64_t FIT = 1 << 17;
    for (int d = 0; d < 3; d++) {
      int64_t last = low_[d] = taps.Tap(0)[d];
      for (int64_t t = 1; t < taps.count; t++) {
        low_[d] = std::min(low_[d], taps.Tap(t)[d]);
        last = std::max(last, taps.Tap(t)[d]);
      }
      span_[d] = last - low_[d];
    }
    wide = std::min(wide, most);
    planes = span_[0] + 1;
    const auto measure = [&] {
      rows = (high - 1) * taps.stride[1] + span_[1] + 1;
      columns = (wide - 1) * taps.stride[2] + span_[2] + 1;
      return planes * rows * columns * copies * LANES;
    };
    while (high > 1 && measure() > FIT) high = (high + 1) / 2;
    while (wide > 64 && measure() > FIT) wide = (wide + 1) / 2;
    measure();
  }

  int64_t Size() const { return planes * rows * columns * LANES; }

  // Where a tap begins to read.
  int64_t Offset(const int64_t *tap) const {
    return (((tap[0] - low_[0]) * rows + tap[1] - low_[1]) * columns + tap[2] - low_[2]) * LANES;
  }

  // Copies what positions from (z, y, x) on read of a channel.
  void Copy(const float *image, const Lanes &lanes, int64_t j, int64_t z, int64_t y, int64_t x, float *to) const {
    const int64_t *size = taps_.input;
    const int64_t left = x * taps_.stride[2] + low_[2];
    const int64_t begin = std::clamp<int64_t>(-left, 0, columns), end = std::clamp<int64_t>(size[2] - left, begin, columns);
    for (int64_t p = 0; p < planes; p++)
      for (int64_t r = 0; r < rows; r++, to += columns * LANES) {
        const int64_t plane = z * taps_.stride[0] + low_[0] + p, row = y * taps_.stride[1] + low_[1] + r;
        if (plane < 0 || plane >= size[0] || row < 0 || row >= size[1]) {
          std::fill_n(to, columns * LANES, 0.0f);
          continue;
        }
        std::fill_n(to, begin * LANES, 0.0f);
        const float *from = image + ((plane * size[1] + row) * size[2] + left + begin) * taps_.pitch;
        for (int64_t i = begin; i < end; i++, from += taps_.pitch) Store(to + i * LANES, lanes.Read(from, j));
        std::fill_n(to + end * LANES, (columns - end) * LANES, 0.0f);
      }
  }

 private:
  const Taps &taps_;
  int64_t low_[3], span_[3];

 public:
  // Positions of a part.
  int64_t high, wide;
};

// N neighbouring results: sums of terms, each a weight times what is read at an offset.
template <int N, int STEP>
void GroupSums(int64_t terms, const int64_t *offsets, const float *x, int64_t step, const float *weights, float *out,
               int64_t apart, int64_t width) {
  const int64_t next = (STEP > 0 ? STEP : step) * LANES;
  Vector totals[N] = {};
  for (int64_t from = 0; from < terms; from += TERMS) {
    Vector sums[N] = {};
    for (int64_t t = from, end = std::min(terms, from + TERMS); t < end; t++) {
      const Vector weight = Load(weights + t * LANES);
      const float *source = x + offsets[t];
      for (int i = 0; i < N; i++) sums[i] += Load(source + i * next) * weight;
    }
    for (int i = 0; i < N; i++) totals[i] += sums[i];
  }
  for (int i = 0; i < N; i++) StoreSome(out + i * apart, totals[i], width);
}

template <int N, int STEP>
int64_t GroupRun(int64_t count, int64_t terms, const int64_t *offsets, const float *x, int64_t step, const float *weights,
                 float *out, int64_t apart, int64_t width) {
  if (count < N) return 0;
  for (int64_t i = 0; i < count; i += N) {
    // The last ones overlap those before them.
    const int64_t at = std::min(i, count - N);
    GroupSums<N, STEP>(terms, offsets, x + at * step * LANES, step, weights, out + at * apart, apart, width);
  }
  return count;
}

template <int STEP>
void GroupRow(int64_t count, int64_t terms, const int64_t *offsets, const float *x, int64_t step, const float *weights,
              float *out, int64_t apart, int64_t width) {
  if (GroupRun<8, STEP>(count, terms, offsets, x, step, weights, out, apart, width)) return;
  if (GroupRun<4, STEP>(count, terms, offsets, x, step, weights, out, apart, width)) return;
  GroupRun<1, STEP>(count, terms, offsets, x, step, weights, out, apart, width);
}

// The first two parameters are a range of blocks, each of one image.
bool ConvolveGroups(const Call &c) {
  const Convolution v(c.p);
  const Taps &taps = v.taps;
  const int64_t *n = taps.positions;
  const int64_t position = taps.input[0] * taps.input[1] * taps.input[2] * taps.pitch;
  const Window window(taps, INT64_MAX, v.read);
  const int64_t size = window.Size(), terms = taps.count * v.read;
  float *copies = Scratch(size * v.read, 0), *weights = Scratch(terms * LANES, 1);
  std::vector<int64_t> offsets;
  for (int64_t t = 0; t < taps.count; t++)
    for (int64_t j = 0; j < v.read; j++) offsets.push_back(j * size + window.Offset(taps.Tap(t)));
  const float *x = c.To<float>(1), *filter = c.To<float>(2);
  int64_t packed = -1;
  for (int64_t unit = c.p[0]; unit < c.p[1]; unit++) {
    const int64_t block = unit / taps.images, image = unit % taps.images;
    const int64_t first = block * LANES, width = std::min<int64_t>(LANES, v.pitch - first);
    const Lanes lanes(first, width, v.written, v.read, x, taps.images * position);
    if (block != packed) {
      packed = block;
      float *to = weights;
      for (int64_t t = 0; t < taps.count; t++)
        for (int64_t j = 0; j < v.read; j++, to += LANES)
          for (int64_t l = 0; l < LANES; l++) {
            const int64_t channel = first + l, group = channel / v.written, own = channel % v.written;
            const int64_t at = v.transposed ? own * v.filterColumns + group * v.read + j : j * v.filterColumns + channel;
            to[l] = l < width ? filter[taps.Tap(t)[3] * v.filterSize + at] : 0.0f;
          }
    }
    for (int64_t z = 0; z < n[0]; z++)
      for (int64_t top = 0; top < n[1]; top += window.high)
        for (int64_t left = 0; left < n[2]; left += window.wide) {
          for (int64_t j = 0; j < v.read; j++)
            window.Copy(x + image * position, lanes, j, z, top, left, copies + j * size);
          const int64_t columns = std::min(window.wide, n[2] - left), apart = v.step[2] * v.pitch, step = taps.stride[2];
          for (int64_t y = top; y < std::min(n[1], top + window.high); y++) {
            const float *from = copies + (y - top) * taps.stride[1] * window.columns * LANES;
            const int64_t row = ((image * v.sizes[0] + z * v.step[0] + v.begin[0]) * v.sizes[1] + y * v.step[1] + v.begin[1]);
            float *out = c.To<float>(0) + (row * v.sizes[2] + left * v.step[2] + v.begin[2]) * v.pitch + first;
            if (step == 1) GroupRow<1>(columns, terms, offsets.data(), from, 1, weights, out, apart, width);
            else if (step == 2) GroupRow<2>(columns, terms, offsets.data(), from, 2, weights, out, apart, width);
            else GroupRow<0>(columns, terms, offsets.data(), from, step, weights, out, apart, width);
          }
        }
  }
  return true;
}

// Adds to N totals what rows of the input, each from its offset on, have in common with rows of the gradient.
template <int N>
void TapSums(int64_t rows, int64_t count, const float *x, int64_t xRow, int64_t step, const float *gradient, int64_t row,
             const int64_t *offsets, float *totals) {
  const float *from[N];
  for (int t = 0; t < N; t++) from[t] = x + offsets[t];
  for (int64_t r = 0; r < rows;) {
    Vector sums[N] = {};
    int64_t terms = 0;
    do {
      for (int64_t i = 0; i < count; i++) {
        const Vector g = Load(gradient + r * row + i * LANES);
        for (int t = 0; t < N; t++) sums[t] += Load(from[t] + i * step) * g;
      }
      for (int t = 0; t < N; t++) from[t] += xRow;
      terms += count;
      r++;
    } while (r < rows && terms + count <= TERMS);
    for (int t = 0; t < N; t++) Store(totals + t * LANES, Load(totals + t * LANES) + sums[t]);
  }
}

using TapSum = void (*)(int64_t, int64_t, const float *, int64_t, int64_t, const float *, int64_t, const int64_t *, float *);

// The first two parameters are a range: of blocks, of channels that they read, of some taps each.
bool GroupFilterGradient(const Call &c) {
  static_assert(TAPS_TOGETHER == 8, "as many as there are functions");
  static constexpr TapSum SUMS[] = {TapSums<1>, TapSums<2>, TapSums<3>, TapSums<4>, TapSums<5>, TapSums<6>, TapSums<7>, TapSums<8>};
  const Convolution v(c.p);
  const Taps &taps = v.taps;
  const int64_t *n = taps.positions;
  const int64_t position = taps.input[0] * taps.input[1] * taps.input[2] * taps.pitch;
  const Window window(taps, TERMS, 1);
  const int64_t sets = (taps.count + TAPS_TOGETHER - 1) / TAPS_TOGETHER;
  const auto begin = [&](int64_t set) { return taps.count * set / sets; };
  std::vector<int64_t> offsets;
  for (int64_t t = 0; t < taps.count; t++) offsets.push_back(window.Offset(taps.Tap(t)));
  const int64_t row = window.wide * LANES;
  float *copies = Scratch(window.Size() + window.high * row, 0), *gradients = copies + window.Size();
  float *totals = Scratch(taps.count * LANES, 1);
  const float *x = c.To<float>(1), *gradient = c.To<float>(2);
  float *out = c.To<float>(0);
  for (int64_t unit = c.p[0]; unit < c.p[1];) {
    const int64_t block = unit / sets / v.read, j = unit / sets % v.read, firstSet = unit % sets;
    const int64_t endSet = std::min(sets, firstSet + c.p[1] - unit);
    const int64_t first = block * LANES, width = std::min<int64_t>(LANES, v.pitch - first);
    const Lanes lanes(first, width, v.written, v.read, x, taps.images * position);
    const Lanes own(first, width, 1, 1, gradient, taps.images * n[0] * n[1] * n[2] * v.pitch);
    std::fill_n(totals, taps.count * LANES, 0.0f);
    for (int64_t image = 0; image < taps.images; image++)
      for (int64_t z = 0; z < n[0]; z++)
        for (int64_t top = 0; top < n[1]; top += window.high)
          for (int64_t left = 0; left < n[2]; left += window.wide) {
            window.Copy(x + image * position, lanes, j, z, top, left, copies);
            const int64_t rows = std::min(window.high, n[1] - top), columns = std::min(window.wide, n[2] - left);
            for (int64_t y = 0; y < rows; y++) {
              const float *from = gradient + (((image * n[0] + z) * n[1] + top + y) * n[2] + left) * v.pitch;
              for (int64_t i = 0; i < columns; i++) Store(gradients + y * row + i * LANES, own.Read(from + i * v.pitch, 0));
            }
            const int64_t down = taps.stride[1] * window.columns * LANES, right = taps.stride[2] * LANES;
            for (int64_t set = firstSet; set < endSet; set++) {
              const int64_t at = begin(set), count = begin(set + 1) - at;
              SUMS[count - 1](rows, columns, copies, down, right, gradients, row, offsets.data() + at, totals + at * LANES);
            }
          }
    for (int64_t t = begin(firstSet); t < begin(endSet); t++)
      StoreSome(out + taps.Tap(t)[3] * v.filterSize + j * v.filterColumns + first, Load(totals + t * LANES), width);
    unit += endSet - firstSet;
  }
  return true;
}
