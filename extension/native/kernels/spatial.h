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

alignas(64) constexpr float ZEROS[TERMS] = {};

// A matrix of a row for each position, and a column for each channel at each tap. It isn't copied.
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
  // What follows.
  const int64_t *more;

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
    more = columns + 1 + 2 * *columns;
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
  ConvolveWith(v, PatchRuns(v.taps, c.To<float>(1)), filters, c.To<float>(0));
  return true;
}

// The gradient of filters, from the input and the gradient of the result.
bool FilterGradient(const Call &c) {
  const Convolution v(c.p);
  const int64_t *n = v.taps.positions;
  const int64_t positions = v.taps.images * n[0] * n[1] * n[2];
  const Right gradient = {c.To<float>(2), positions, v.pitch, false};
  const Dense out = {c.To<float>(0), v.pitch};
  Multiply(v.part, positions, TurnedPatches(v.taps, c.To<float>(1), v.part.row, v.part.rowEnd), gradient, out);
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

// Numbers from a window's first one to its cells.
inline const std::vector<int64_t> &CellsOf(const Pooling &v) {
  thread_local std::vector<int64_t> cells;
  cells.clear();
  for (int64_t i = 0; i < v.high; i++)
    for (int64_t j = 0; j < v.wide; j++) cells.push_back((i * v.columns + j) * v.channels);
  return cells;
}

// Where registers of a window's channels are, or those of windows that lie side by side: in the images, and in the pooled ones. All
// but a single one lie within the tensors.
template <int VECTORS>
struct Registers {
  int64_t step, pooledStep, width;

  Vector Read(const Floats &floats, const float *from) const { return VECTORS > 1 ? Load(from) : floats.Read(from); }
};

template <int VECTORS>
inline void Maxima(const Registers<VECTORS> &at, const std::vector<int64_t> &cells, const float *window, const Floats &floats, float *out) {
  Vector most[VECTORS];
  for (int k = 0; k < VECTORS; k++) most[k] = at.Read(floats, window + k * at.step);
  for (const int64_t cell : cells)
    for (int k = 0; k < VECTORS; k++) {
      const Vector x = at.Read(floats, window + cell + k * at.step);
      most[k] = Chosen(Exceeds(x, most[k]), x, most[k]);
    }
  for (int k = 0; k < VECTORS; k++) StoreSome(out + k * at.pooledStep, most[k], at.width);
}

// Calls `use` with registers, and where they begin in the images and in the pooled ones, until all are used: with up to MOST of a window's
// channels, and with those of up to WINDOWS for channels that would fill a single one.
template <int MOST, int WINDOWS, class Use>
void EachRegisters(const Pooling &v, const Use &use) {
  const int64_t n = v.channels, all = v.images * v.rows * v.columns * n, pooled = v.images * v.height * v.width * n;
  const int64_t last = ((v.high - 1) * v.columns + v.wide - 1) * n + LANES, step = v.right * n;
  for (int64_t line = 0; line < v.images * v.height; line++) {
    const int64_t from = (line / v.height * v.rows + line % v.height * v.down) * v.columns * n, to = line * v.width * n;
    int64_t rest = 0;
    for (int64_t x = 0; x < v.width; x++) {
      int64_t q = 0;
      for (; q + MOST * LANES <= n; q += MOST * LANES) use(Registers<MOST>{LANES, LANES, LANES}, from + x * step + q, to + x * n + q);
      for (; q + 2 * LANES <= n; q += 2 * LANES) use(Registers<2>{LANES, LANES, LANES}, from + x * step + q, to + x * n + q);
      rest = q;
    }
    for (int64_t q = rest; q < n; q += LANES) {
      const int64_t width = std::min<int64_t>(LANES, n - q), ahead = WINDOWS - 1;
      int64_t x = 0;
      for (; x + WINDOWS <= v.width; x += WINDOWS) {
        if (from + (x + ahead) * step + q + last > all || to + (x + ahead) * n + q + LANES > pooled) break;
        use(Registers<WINDOWS>{step, n, width}, from + x * step + q, to + x * n + q);
      }
      for (; x < v.width; x++) use(Registers<1>{step, n, width}, from + x * step + q, to + x * n + q);
    }
  }
}

bool MaxPool(const Call &c) {
  const Pooling v(c.p);
  const std::vector<int64_t> &cells = CellsOf(v);
  const float *all = c.To<float>(1);
  const Floats floats = {all + v.images * v.rows * v.columns * v.channels};
  float *out = c.To<float>(0);
  EachRegisters<4, 4>(v, [&](const auto &at, int64_t from, int64_t to) { Maxima(at, cells, all + from, floats, out + to); });
  return true;
}

// Writes the gradient of a window's channels to their first maxima, or to the last NaN; zeros, or what is there, elsewhere.
template <int VECTORS>
inline void MaximaGradient(const Registers<VECTORS> &at, const std::vector<int64_t> &cells, const float *window, const Floats &floats,
                           const float *gradient, const Floats &gradients, float *out, const Floats &sums, bool once) {
  const int32_t count = static_cast<int32_t>(cells.size());
  Vector most[VECTORS];
  Bits where[VECTORS], all[VECTORS];
  for (int k = 0; k < VECTORS; k++) {
    most[k] = at.Read(floats, window + k * at.step);
    where[k] = Bits{};
    all[k] = reinterpret_cast<Bits>(at.Read(gradients, gradient + k * at.pooledStep));
  }
  for (int32_t cell = 0; cell < count; cell++)
    for (int k = 0; k < VECTORS; k++) {
      const Vector x = at.Read(floats, window + cells[cell] + k * at.step);
      const Bits more = Exceeds(x, most[k]);
      most[k] = Chosen(more, x, most[k]);
      where[k] = (more & cell) | (~more & where[k]);
    }
  for (int32_t cell = 0; cell < count; cell++)
    for (int k = 0; k < VECTORS; k++) {
      float *to = out + cells[cell] + k * at.step;
      const Vector own = reinterpret_cast<Vector>((where[k] == cell) & all[k]);
      StoreSome(to, once ? own : at.Read(sums, to) + own, at.width);
    }
}

bool MaxPoolGrad(const Call &c) {
  const Pooling v(c.p);
  const int64_t n = v.channels, size = v.images * v.rows * v.columns * n;
  // Windows that lie side by side write each place once.
  const bool once = v.high == v.down && v.wide == v.right && v.height * v.high == v.rows && v.width * v.wide == v.columns;
  const std::vector<int64_t> &cells = CellsOf(v);
  const float *all = c.To<float>(1), *gradient = c.To<float>(2);
  float *out = c.To<float>(0);
  if (!once) std::fill_n(out, size, 0.0f);
  const Floats floats = {all + size}, gradients = {gradient + v.images * v.height * v.width * n}, sums = {out + size};
  // A register has its maxima, their places and the gradients, which are too many for four where there are 16 registers.
  EachRegisters<2, LANES == 16 ? 4 : 2>(v, [&](const auto &at, int64_t from, int64_t to) {
    MaximaGradient(at, cells, all + from, floats, gradient + to, gradients, out + from, sums, once);
  });
  return true;
}
