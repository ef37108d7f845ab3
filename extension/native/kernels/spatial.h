// Convolutions and pooling, part of kernels.h. Channels come last; images are volumes of depth 1.

// How the positions of a convolution's result read its input: at each tap of the filter, a position further by an offset.
struct Taps {
  int64_t images;
  // Positions in each dimension: of the result's part that is computed, and of the input.
  const int64_t *positions, *input;
  // Channels that are read, and how many a position has: more where they are divided into groups.
  int64_t channels, pitch;
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

  // Moves to the next position.
  void Advance(int64_t (&at)[4]) const {
    for (int d = 3; d > 0; d--) {
      if ((at[d] += stride[d - 1]) < positions[d - 1] * stride[d - 1]) return;
      at[d] = 0;
      if (d == 1) at[0]++;
    }
  }

  // The channels that a tap reads; null in the padding.
  const float *Read(const float *x, const int64_t (&at)[4], const int64_t *tap) const {
    const int64_t z = at[1] + tap[0], y = at[2] + tap[1], w = at[3] + tap[2];
    if (static_cast<uint64_t>(z) >= static_cast<uint64_t>(input[0]) ||
        static_cast<uint64_t>(y) >= static_cast<uint64_t>(input[1]) ||
        static_cast<uint64_t>(w) >= static_cast<uint64_t>(input[2]))
      return nullptr;
    return x + (((at[0] * input[0] + z) * input[1] + y) * input[2] + w) * pitch;
  }
};

// Images with few channels, with zeros around: taps are read without asking whether they are in the padding.
class Padded {
 public:
  // Of the images that some positions are in.
  Padded(const Taps &taps, const float *x, int64_t from, int64_t to) : taps_(taps) {
    const int64_t each = taps.positions[0] * taps.positions[1] * taps.positions[2];
    first_ = from / each;
    const int64_t images = (to - 1) / each + 1 - first_, channels = taps.channels, *size = taps.input;
    int64_t low[3], high[3];
    for (int d = 0; d < 3; d++) {
      low[d] = high[d] = taps.Tap(0)[d];
      for (int64_t t = 1; t < taps.count; t++) {
        low[d] = std::min(low[d], taps.Tap(t)[d]);
        high[d] = std::max(high[d], taps.Tap(t)[d]);
      }
      sizes_[d] = (taps.positions[d] - 1) * taps.stride[d] + high[d] - low[d] + 1;
    }
    offsets_ = Kept(0, taps.count * channels);
    for (int64_t t = 0; t < taps.count; t++) {
      const int64_t *tap = taps.Tap(t);
      const int64_t at = ((tap[0] - low[0]) * sizes_[1] + tap[1] - low[1]) * sizes_[2] + tap[2] - low[2];
      for (int64_t c = 0; c < channels; c++) offsets_[t * channels + c] = at * channels + c;
    }
    const int64_t row = sizes_[2] * channels;
    float *copy = reinterpret_cast<float *>(Kept(1, (images * sizes_[0] * sizes_[1] * row + 1) / 2));
    values_ = copy;
    const int64_t begin = std::clamp<int64_t>(-low[2], 0, sizes_[2]);
    const int64_t end = std::clamp<int64_t>(size[2] - low[2], begin, sizes_[2]);
    for (int64_t i = 0; i < images; i++)
      for (int64_t z = low[0]; z < low[0] + sizes_[0]; z++)
        for (int64_t y = low[1]; y < low[1] + sizes_[1]; y++, copy += row) {
          std::fill_n(copy, row, 0.0f);
          if (z < 0 || z >= size[0] || y < 0 || y >= size[1]) continue;
          const float *source = x + ((((first_ + i) * size[0] + z) * size[1] + y) * size[2] + begin + low[2]) * taps.pitch;
          float *to = copy + begin * channels;
          if (taps.pitch == channels) std::copy_n(source, (end - begin) * channels, to);
          else
            for (int64_t p = begin; p < end; p++, source += taps.pitch, to += channels) std::copy_n(source, channels, to);
        }
  }

  // Where positions begin to read, one after the other.
  class Walk {
   public:
    Walk(const Padded &images, int64_t i) : images_(images) {
      images.taps_.Locate(i, at_);
      at_[0] -= images.first_;
    }
    const float *Next() {
      const int64_t *size = images_.sizes_;
      const float *here = images_.values_ + (((at_[0] * size[0] + at_[1]) * size[1] + at_[2]) * size[2] + at_[3]) * images_.taps_.channels;
      images_.taps_.Advance(at_);
      return here;
    }

   private:
    const Padded &images_;
    int64_t at_[4];
  };

  // For each channel at each tap, where it lies from the beginning on.
  const int64_t *offsets() const { return offsets_; }

 private:
  static int64_t *Kept(int which, int64_t count) {
    thread_local std::vector<int64_t> pieces[2];
    // Pieces beyond 8 MB aren't kept for smaller ones.
    const int64_t size = static_cast<int64_t>(pieces[which].size());
    if (size < count || size > std::max<int64_t>(count, 1 << 20)) pieces[which] = std::vector<int64_t>(count);
    return pieces[which].data();
  }

  const Taps &taps_;
  int64_t first_, sizes_[3], *offsets_;
  const float *values_;
};

// A matrix of a row for each position, and a column for each channel at each tap.
struct Patches {
  const Padded &images;

  int64_t Height(int64_t, int64_t rows) const { return std::min<int64_t>(TILE_ROWS, rows); }

  Packed Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) const {
    Padded::Walk walk(images, first);
    const float *begins[TILE_ROWS];
    for (int64_t r = 0; r < TILE_ROWS; r++) begins[r] = r < rows ? walk.Next() : begins[0];
    const int64_t *offsets = images.offsets() + from;
    float *put = to;
    for (int64_t p = 0; p < terms; p++, put += TILE_ROWS) {
      const int64_t offset = offsets[p];
      for (int r = 0; r < TILE_ROWS; r++) put[r] = begins[r][offset];
    }
    return {to, terms};
  }
};

// The same transposed: a row for each channel at each tap.
struct TurnedFew {
  const Padded &images;

  int64_t Height(int64_t, int64_t rows) const { return std::min<int64_t>(TILE_ROWS, rows); }

  Packed Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) const {
    Padded::Walk walk(images, from);
    int64_t offsets[TILE_ROWS];
    for (int64_t r = 0; r < TILE_ROWS; r++) offsets[r] = images.offsets()[first + (r < rows ? r : 0)];
    float *put = to;
    for (int64_t p = 0; p < terms; p++, put += TILE_ROWS) {
      const float *begin = walk.Next();
      for (int r = 0; r < TILE_ROWS; r++) put[r] = begin[offsets[r]];
    }
    return {to, terms};
  }
};

// Channels from which on patches are read where they lie: copying fewer takes no longer than finding them.
constexpr int64_t MIN_RUN = 8;
alignas(64) constexpr float ZEROS[TERMS] = {};

// The same matrix, not copied.
class PatchRuns {
 public:
  PatchRuns(const Taps &taps, const float *x) : taps_(taps), x_(x) {}

  int64_t Height(int64_t, int64_t rows) const { return std::min<int64_t>(TILE_ROWS, rows); }

  Runs Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *) {
    const int64_t *const input = taps_.input;
    Locate(first, rows);
    const int64_t end = from + terms;
    int64_t t = from / taps_.channels, c = from - t * taps_.channels;
    uint32_t beside = 0;
    const int64_t *last = nullptr;
    Run *run = runs_;
    const float **edge = edges_;
    for (int64_t p = from; p < end; p += run->length, run++, t++, c = 0) {
      const int64_t *tap = taps_.Tap(t);
      const int64_t offset = ((tap[0] * input[1] + tap[1]) * input[2] + tap[2]) * taps_.pitch + c;
      run->length = std::min(taps_.channels - c, end - p);
      run->end = offset + run->length;
      run->rows = begins_;
      // Rows that read the padding, a bit each. Taps in a row of the filter differ in the last dimension alone.
      if (last == nullptr || tap[0] != last[0] || tap[1] != last[1]) beside = Outside(0, tap[0]) | Outside(1, tap[1]);
      last = tap;
      const uint32_t outside = beside | Outside(2, tap[2]);
      if (outside == 0) continue;
      run->end = run->length;
      run->rows = edge;
      for (int r = 0; r < TILE_ROWS; r++) *edge++ = (outside >> r & 1) != 0 ? ZEROS : begins_[r] + offset;
    }
    return {runs_, run};
  }

 private:
  // Finds where each row begins to read.
  void Locate(int64_t first, int64_t rows) {
    int64_t at[4];
    taps_.Locate(first, at);
    for (int64_t r = 0; r < TILE_ROWS; r++) {
      for (int d = 0; d < 3; d++) places_[d][r] = at[d + 1];
      begins_[r] = x_ + (((at[0] * taps_.input[0] + at[1]) * taps_.input[1] + at[2]) * taps_.input[2] + at[3]) * taps_.pitch;
      if (r + 1 < rows) taps_.Advance(at);
    }
    for (int d = 0; d < 3; d++) {
      low_[d] = *std::min_element(places_[d], places_[d] + TILE_ROWS);
      high_[d] = *std::max_element(places_[d], places_[d] + TILE_ROWS);
    }
  }

  // The rows whose place in a dimension is outside of the input, a bit each.
  uint32_t Outside(int d, int64_t offset) const {
    if (low_[d] + offset >= 0 && high_[d] + offset < taps_.input[d]) return 0;
    uint32_t bits = 0;
    for (int r = 0; r < TILE_ROWS; r++)
      bits |= static_cast<uint32_t>(static_cast<uint64_t>(places_[d][r] + offset) >= static_cast<uint64_t>(taps_.input[d])) << r;
    return bits;
  }

  const Taps &taps_;
  const float *x_;
  int64_t places_[3][TILE_ROWS], low_[3], high_[3];
  const float *begins_[TILE_ROWS];
  Run runs_[TERMS / MIN_RUN + 2];
  const float *edges_[(TERMS / MIN_RUN + 2) * TILE_ROWS];
};

// The same transposed: a row for each channel at each tap. A position's channels are read where they lie.
class TurnedPatches {
 public:
  // Of the rows from one to another.
  TurnedPatches(const Taps &taps, const float *x, int64_t from, int64_t to)
      : taps_(taps), x_(x), firstTap_(from / taps.channels), tapsRead_((to - 1) / taps.channels + 1 - firstTap_) {
    thread_local std::vector<const float *> kept;
    kept.resize((tapsRead_ + 1) * TERMS);
    sources_ = kept.data();
  }

  // Rows of one tap; the last ones of a tap may be too few for a tile of any height.
  int64_t Height(int64_t first, int64_t rows) const {
    const int64_t most = std::min({rows, taps_.channels - first % taps_.channels, int64_t{TILE_ROWS}});
    return most < THIRD ? most : most / THIRD * THIRD;
  }

  Columns Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) {
    if (from != located_) Locate(from, terms);
    const int64_t t = first / taps_.channels, c = first - t * taps_.channels;
    const float **sources = sources_ + (t - firstTap_) * TERMS;
    if (rows % THIRD == 0) return {sources, terms, c};
    // What lies behind a tensor isn't read.
    const float **copies = sources_ + tapsRead_ * TERMS;
    for (int64_t p = 0; p < terms; p++, to += TILE_ROWS) {
      copies[p] = sources[p] == nullptr ? nullptr : to;
      if (sources[p] != nullptr) std::copy_n(sources[p] + c, rows, to);
    }
    return {copies, terms, 0};
  }

 private:
  // Finds what the taps read at some positions, once for all rows.
  void Locate(int64_t from, int64_t terms) {
    located_ = from;
    int64_t at[4];
    taps_.Locate(from, at);
    for (int64_t p = 0; p < terms; p++, taps_.Advance(at))
      for (int64_t t = 0; t < tapsRead_; t++) sources_[t * TERMS + p] = taps_.Read(x_, at, taps_.Tap(firstTap_ + t));
  }

  const Taps &taps_;
  const float *x_;
  int64_t firstTap_, tapsRead_, located_ = -1;
  const float **sources_;
};

// The matrices of a filter for its taps, one above the other: of so many numbers each, with rows of `columns`.
struct Filters {
  const Taps &taps;
  const float *at;
  int64_t size, columns;
  bool transposed;

  void Pack(int64_t from, int64_t terms, int64_t first, int64_t end, float *to, int64_t panel) const {
    const int64_t channels = taps.channels, last = from + terms;
    for (int64_t p = from; p < last;) {
      const int64_t t = p / channels, c = p - t * channels, n = std::min(channels - c, last - p);
      const Right own = {at + taps.Tap(t)[3] * size, columns, columns, transposed};
      own.Pack(c, n, first, end, to, panel);
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

  void Find(int64_t first, int64_t rows, float **found) const {
    int64_t place[3];
    for (int d = 2; d >= 0; d--) {
      place[d] = first % taps.positions[d];
      first /= taps.positions[d];
    }
    for (int64_t r = 0; r < rows; r++) {
      int64_t all = first;
      for (int d = 0; d < 3; d++) all = all * sizes[d] + place[d] * step[d] + begin[d];
      found[r] = at + all * stride;
      for (int d = 2; d >= 0; d--) {
        if (++place[d] < taps.positions[d]) break;
        place[d] = 0;
        if (d == 0) first++;
      }
    }
  }

  float *Row(int64_t i) const {
    float *found;
    Find(i, 1, &found);
    return found;
  }
};

// Parameters: the part's rows and columns; images, positions, input's sizes, channels read, its channels, strides; the result's
// channels, sizes, steps and beginnings; whether the filter's matrices are transposed, their numbers and columns; channels of a
// group, written and read; for each dimension how many taps there are, then an offset and the filter's place of each.
struct Convolution {
  Part part;
  Taps taps;
  int64_t pitch;
  const int64_t *sizes, *step, *begin;
  bool transposed;
  int64_t filterSize, filterColumns;
  int64_t written, read;

  explicit Convolution(const int64_t *p)
      : part{p[0], p[1], p[2], p[3]},
        taps{p[4], p + 5, p + 8, p[11], p[12], p + 13, 0, nullptr},
        pitch(p[16]),
        sizes(p + 17),
        step(p + 20),
        begin(p + 23),
        transposed(p[26] != 0),
        filterSize(p[27]),
        filterColumns(p[28]),
        written(p[29]),
        read(p[30]) {
    thread_local std::vector<int64_t> all;
    all.clear();
    const int64_t *depth = p + 31, *rows = depth + 1 + 2 * *depth, *columns = rows + 1 + 2 * *rows;
    for (int64_t i = 0; i < *depth; i++)
      for (int64_t j = 0; j < *rows; j++)
        for (int64_t k = 0; k < *columns; k++)
          all.insert(all.end(), {depth[1 + 2 * i], rows[1 + 2 * j], columns[1 + 2 * k],
                                 depth[2 + 2 * i] + rows[2 + 2 * j] + columns[2 + 2 * k]});
    taps.count = *depth * *rows * *columns;
    taps.taps = all.data();
  }
};

template <class A>
void ConvolveWith(const Convolution &v, A &&patches, const Filters &filters, float *out) {
  const int64_t depth = v.taps.count * v.taps.channels;
  bool dense = true;
  for (int d = 0; d < 3; d++) dense = dense && v.step[d] == 1 && v.begin[d] == 0 && v.sizes[d] == v.taps.positions[d];
  if (dense) Multiply(v.part, depth, patches, filters, Dense{out, v.pitch});
  else Multiply(v.part, depth, patches, filters, Spread{out, v.pitch, v.taps, v.sizes, v.step, v.begin});
}

bool Convolve(const Call &c) {
  const Convolution v(c.p);
  const Filters filters = {v.taps, c.To<float>(2), v.filterSize, v.filterColumns, v.transposed};
  const float *x = c.To<float>(1);
  if (v.taps.channels < MIN_RUN)
    ConvolveWith(v, Patches{Padded(v.taps, x, v.part.row, v.part.rowEnd)}, filters, c.To<float>(0));
  else
    ConvolveWith(v, PatchRuns(v.taps, x), filters, c.To<float>(0));
  return true;
}

// The gradient of filters, from the input and the gradient of the result.
bool FilterGradient(const Call &c) {
  const Convolution v(c.p);
  const int64_t *n = v.taps.positions;
  const int64_t positions = v.taps.images * n[0] * n[1] * n[2];
  const Right gradient = {c.To<float>(2), positions, v.pitch, false};
  const Dense out = {c.To<float>(0), v.pitch};
  const float *x = c.To<float>(1);
  if (v.taps.channels < MIN_RUN) Multiply(v.part, positions, TurnedFew{Padded(v.taps, x, 0, positions)}, gradient, out);
  else Multiply(v.part, positions, TurnedPatches(v.taps, x, v.part.row, v.part.rowEnd), gradient, out);
  return true;
}

// ---- Pooling ----

// Parameters: images; height and width of the result and of the input; channels; window; strides.
struct Pooling {
  int64_t images, height, width, rows, columns, channels, high, wide, down, right;

  explicit Pooling(const int64_t *p)
      : images(p[0]), height(p[1]), width(p[2]), rows(p[3]), columns(p[4]), channels(p[5]), high(p[6]), wide(p[7]), down(p[8]),
        right(p[9]) {}
};

typedef int32_t Bits __attribute__((vector_size(LANES * 4), may_alias));

// Whether numbers take the place of what were the largest so far: NaN always does.
inline Bits Exceeds(Vector x, Vector most) { return (x > most) | (x != x); }
inline Vector Chosen(Bits which, Vector x, Vector y) {
  return reinterpret_cast<Vector>((reinterpret_cast<Bits>(x) & which) | (reinterpret_cast<Bits>(y) & ~which));
}

// The maxima of a window's channels, of several registers or of a part of one.
template <int VECTORS>
inline void Maxima(const Pooling &v, const float *window, const Floats &floats, float *out, int64_t width) {
  const auto read = [&](const float *from) { return VECTORS > 1 ? Load(from) : floats.Read(from); };
  Vector most[VECTORS];
  for (int k = 0; k < VECTORS; k++) most[k] = read(window + k * LANES);
  for (int64_t i = 0; i < v.high; i++)
    for (int64_t j = 0; j < v.wide; j++) {
      const float *cell = window + (i * v.columns + j) * v.channels;
      for (int k = 0; k < VECTORS; k++) {
        const Vector x = read(cell + k * LANES);
        most[k] = Chosen(Exceeds(x, most[k]), x, most[k]);
      }
    }
  for (int k = 0; k < VECTORS; k++) StoreSome(out + k * LANES, most[k], VECTORS > 1 ? LANES : width);
}

bool MaxPool(const Call &c) {
  const Pooling v(c.p);
  const int64_t n = v.channels;
  const float *all = c.To<float>(1);
  const Floats floats = {all + v.images * v.rows * v.columns * n};
  float *out = c.To<float>(0);
  for (int64_t image = 0; image < v.images; image++)
    for (int64_t y = 0; y < v.height; y++)
      for (int64_t x = 0; x < v.width; x++, out += n) {
        const float *window = all + ((image * v.rows + y * v.down) * v.columns + x * v.right) * n;
        int64_t q = 0;
        for (; q + 4 * LANES <= n; q += 4 * LANES) Maxima<4>(v, window + q, floats, out + q, LANES);
        for (; q + 2 * LANES <= n; q += 2 * LANES) Maxima<2>(v, window + q, floats, out + q, LANES);
        for (; q < n; q += LANES) Maxima<1>(v, window + q, floats, out + q, std::min<int64_t>(LANES, n - q));
      }
  return true;
}

// Writes the gradient of a window's channels to their first maxima, or to the last NaN; zeros, or what is there, elsewhere.
template <int VECTORS>
inline void MaximaGradient(const Pooling &v, const float *window, const Floats &floats, const float *gradient, const Floats &gradients,
                           float *out, const Floats &sums, bool once, int64_t width) {
  const auto read = [&](const Floats &of, const float *from) { return VECTORS > 1 ? Load(from) : of.Read(from); };
  Vector most[VECTORS];
  Bits where[VECTORS], all[VECTORS];
  for (int k = 0; k < VECTORS; k++) {
    most[k] = read(floats, window + k * LANES);
    where[k] = Bits{};
    all[k] = reinterpret_cast<Bits>(read(gradients, gradient + k * LANES));
  }
  const auto each = [&](const auto &use) {
    for (int64_t i = 0; i < v.high; i++)
      for (int64_t j = 0; j < v.wide; j++)
        for (int k = 0; k < VECTORS; k++)
          use(static_cast<int32_t>(i * v.columns + j), (i * v.columns + j) * v.channels + k * LANES, k);
  };
  each([&](int32_t place, int64_t at, int k) {
    const Vector x = read(floats, window + at);
    const Bits more = Exceeds(x, most[k]);
    most[k] = Chosen(more, x, most[k]);
    where[k] = (more & place) | (~more & where[k]);
  });
  each([&](int32_t place, int64_t at, int k) {
    const Vector own = reinterpret_cast<Vector>((where[k] == place) & all[k]);
    StoreSome(out + at, once ? own : read(sums, out + at) + own, VECTORS > 1 ? LANES : width);
  });
}

bool MaxPoolGrad(const Call &c) {
  const Pooling v(c.p);
  const int64_t n = v.channels, size = v.images * v.rows * v.columns * n;
  // Windows that lie side by side write each place once.
  const bool once = v.high == v.down && v.wide == v.right && v.height * v.high == v.rows && v.width * v.wide == v.columns;
  if (!once) std::fill_n(c.To<float>(0), size, 0.0f);
  const float *all = c.To<float>(1), *gradient = c.To<float>(2);
  const Floats floats = {all + size}, gradients = {gradient + v.images * v.height * v.width * n}, sums = {c.To<float>(0) + size};
  for (int64_t image = 0; image < v.images; image++)
    for (int64_t y = 0; y < v.height; y++)
      for (int64_t x = 0; x < v.width; x++, gradient += n) {
        const int64_t place = ((image * v.rows + y * v.down) * v.columns + x * v.right) * n;
        const float *window = all + place;
        float *out = c.To<float>(0) + place;
        int64_t q = 0;
        for (; q + 2 * LANES <= n; q += 2 * LANES)
          MaximaGradient<2>(v, window + q, floats, gradient + q, gradients, out + q, sums, once, LANES);
        for (; q < n; q += LANES)
          MaximaGradient<1>(v, window + q, floats, gradient + q, gradients, out + q, sums, once, std::min<int64_t>(LANES, n - q));
      }
  return true;
}
