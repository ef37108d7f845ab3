// Convolutions with filters of 3 by 3, part of kernels.h: F(2x2, 3x3) of Lavin and Gray, "Fast Algorithms for Convolutional Neural
// Networks" (2016). Four results at a time are 16 products of transformed numbers for each channel, instead of 36. The transforms add,
// and halve filters, so that rounding errors stay those of the sums.

// Tiles of four results.
struct Tiles {
  // The part that is computed: of tiles, or of channels that are read.
  int64_t begin, end;
  int64_t images;
  // Of the result, and of the input.
  int64_t high, wide, rows, columns;
  // From a result's position to the first one that it reads.
  int64_t top, left;
  int64_t read, written;

  explicit Tiles(const int64_t *p)
      : begin(p[0]), end(p[1]), images(p[2]), high(p[3]), wide(p[4]), rows(p[5]), columns(p[6]), top(p[7]), left(p[8]), read(p[9]),
        written(p[10]) {}

  int64_t Down() const { return (high + 1) / 2; }
  int64_t Across() const { return (wide + 1) / 2; }
  int64_t Count() const { return images * Down() * Across(); }

  // Moves from tile to tile.
  class Walk {
   public:
    Walk(const Tiles &tiles, int64_t i) : tiles_(tiles) {
      x = i % tiles.Across() * 2;
      i /= tiles.Across();
      y = i % tiles.Down() * 2;
      image = i / tiles.Down();
    }
    void Next() {
      if ((x += 2) < tiles_.wide) return;
      x = 0;
      if ((y += 2) < tiles_.high) return;
      y = 0;
      image++;
    }
    // Of the first result.
    int64_t image, y, x;

   private:
    const Tiles &tiles_;
  };
};

// The transforms of a dimension, and those that lead back. With the paper's matrices: B' of the input, A' of the result, G of the filter;
// A of the result's gradient, and G' of the filter's.
struct OfInput {
  static constexpr int FROM = 4, TO = 4;
  static void Apply(const Vector *d, Vector *to) {
    to[0] = d[0] - d[2];
    to[1] = d[1] + d[2];
    to[2] = d[2] - d[1];
    to[3] = d[1] - d[3];
  }
};
struct OfResult {
  static constexpr int FROM = 4, TO = 2;
  static void Apply(const Vector *m, Vector *to) {
    to[0] = m[0] + m[1] + m[2];
    to[1] = m[1] - m[2] - m[3];
  }
};
struct OfFilter {
  static constexpr int FROM = 3, TO = 4;
  static void Apply(const Vector *g, Vector *to) {
    const Vector sum = (g[0] + g[2]) * 0.5f, half = g[1] * 0.5f;
    to[0] = g[0];
    to[1] = sum + half;
    to[2] = sum - half;
    to[3] = g[2];
  }
};
struct OfGradient {
  static constexpr int FROM = 2, TO = 4;
  static void Apply(const Vector *y, Vector *to) {
    to[0] = y[0];
    to[1] = y[0] + y[1];
    to[2] = y[0] - y[1];
    to[3] = -y[1];
  }
};
struct OfFilterGradient {
  static constexpr int FROM = 4, TO = 3;
  static void Apply(const Vector *m, Vector *to) {
    const Vector sum = (m[1] + m[2]) * 0.5f;
    to[0] = m[0] + sum;
    to[1] = (m[1] - m[2]) * 0.5f;
    to[2] = sum + m[3];
  }
};

// Transforms a square of registers along both dimensions: `get` and `put` take a row and a column.
template <class T, class Get, class Put>
inline void Transform(const Get &get, const Put &put) {
  Vector half[T::TO][T::FROM];
  UNROLL
  for (int j = 0; j < T::FROM; j++) {
    Vector column[T::FROM], to[T::TO];
    UNROLL
    for (int i = 0; i < T::FROM; i++) column[i] = get(i, j);
    T::Apply(column, to);
    UNROLL
    for (int i = 0; i < T::TO; i++) half[i][j] = to[i];
  }
  UNROLL
  for (int i = 0; i < T::TO; i++) {
    Vector to[T::TO];
    T::Apply(half[i], to);
    UNROLL
    for (int j = 0; j < T::TO; j++) put(i, j, to[j]);
  }
}

// Where places of a square lie; null for those outside of the image.
template <int HIGH>
inline void FindPlaces(const float *image, int64_t rows, int64_t columns, int64_t y, int64_t x, int64_t pitch,
                       const float *(&places)[HIGH][HIGH]) {
  const bool inside = y >= 0 && x >= 0 && y + HIGH <= rows && x + HIGH <= columns;
  for (int i = 0; i < HIGH; i++)
    for (int j = 0; j < HIGH; j++) {
      const bool there = inside || (static_cast<uint64_t>(y + i) < static_cast<uint64_t>(rows) &&
                                    static_cast<uint64_t>(x + j) < static_cast<uint64_t>(columns));
      places[i][j] = there ? image + ((y + i) * columns + x + j) * pitch : nullptr;
    }
}

// Transforms what some tiles read of some channels: 16 matrices, each with a row for each tile.
inline void TransformInput(const Tiles &tiles, const float *x, int64_t first, int64_t count, int64_t channel, int64_t channels,
                           float *to, int64_t row, int64_t apart) {
  Tiles::Walk at(tiles, first);
  const int64_t image = tiles.rows * tiles.columns * tiles.read;
  const Floats floats = {x + tiles.images * image};
  for (int64_t t = 0; t < count; t++, at.Next(), to += row) {
    const float *places[4][4];
    FindPlaces(x + at.image * image + channel, tiles.rows, tiles.columns, at.y + tiles.top, at.x + tiles.left, tiles.read, places);
    for (int64_t c = 0; c < channels; c += LANES)
      Transform<OfInput>(
          [&](int i, int j) { return places[i][j] == nullptr ? Vector{} : floats.Read(places[i][j] + c); },
          [&](int i, int j, Vector v) { Store(to + (4 * i + j) * apart + c, v); });
  }
}

// Adds up tiles' products, and writes their results.
inline void TransformResult(const Tiles &tiles, const float *from, int64_t row, int64_t apart, int64_t first, int64_t count, float *out) {
  Tiles::Walk at(tiles, first);
  const int64_t channels = tiles.written;
  for (int64_t t = 0; t < count; t++, at.Next(), from += row) {
    float *to = out + ((at.image * tiles.high + at.y) * tiles.wide + at.x) * channels;
    const bool below = at.y + 1 < tiles.high, beside = at.x + 1 < tiles.wide;
    for (int64_t c = 0; c < channels; c += LANES)
      Transform<OfResult>(
          [&](int i, int j) { return Load(from + (4 * i + j) * apart + c); },
          [&](int i, int j, Vector v) {
            if ((i == 1 && !below) || (j == 1 && !beside)) return;
            StoreSome(to + (i * tiles.wide + j) * channels + c, v, std::min<int64_t>(LANES, channels - c));
          });
  }
}

// Transformed filters: 16 matrices of panels with TILE_COLUMNS channels that are written, each a row for a channel that is read.
inline int64_t PanelPlace(int64_t read, int64_t written) { return written / TILE_COLUMNS * TILE_COLUMNS * read + written % TILE_COLUMNS; }

// Parameters: a range of channels that are read; how many there are, and how many are written; whether the filter's matrices are
// transposed, and its taps in reverse; the filter's columns.
bool WinogradFilter(const Call &c) {
  const int64_t begin = c.p[0], end = c.p[1], read = c.p[2], written = c.p[3], columns = c.p[5];
  const bool transposed = c.p[4] != 0;
  const float *f = c.To<float>(1);
  float *to = c.To<float>(0);
  const int64_t size = read * written, apart = TransformedNumbers(read, written, LANES);
  const Floats floats = {f + 9 * size};
  float *turned = Scratch(9 * LANES * LANES, 0);
  for (int64_t k = 0; k < RoundUp(written, TILE_COLUMNS); k += LANES) {
    const int64_t width = std::clamp<int64_t>(written - k, 0, LANES);
    for (int64_t from = begin; from < end; from += LANES) {
      const int64_t rows = std::min<int64_t>(LANES, end - from);
      for (int64_t tap = 0; tap < 9; tap++) {
        float *put = turned + tap * LANES * LANES;
        const float *source = f + (transposed ? 8 - tap : tap) * size;
        if (!transposed) {
          for (int64_t r = 0; r < rows; r++) Store(put + r * LANES, floats.Read(source + (from + r) * columns + k));
        } else if (rows == LANES && width == LANES) {
          Turn(source + k * columns + from, columns, LANES, put, LANES);
        } else {
          std::fill_n(put, LANES * LANES, 0.0f);
          for (int64_t q = 0; q < width; q++)
            for (int64_t r = 0; r < rows; r++) put[r * LANES + q] = source[(k + q) * columns + from + r];
        }
      }
      for (int64_t r = 0; r < rows; r++) {
        float *place = to + PanelPlace(read, k) + (from + r) * TILE_COLUMNS;
        Transform<OfFilter>([&](int i, int j) { return Load(turned + ((3 * i + j) * LANES + r) * LANES); },
                            [&](int i, int j, Vector v) { Store(place + (4 * i + j) * apart, v); });
      }
    }
  }
  return true;
}

// Numbers of a block of tiles that fit into half of the second cache.
constexpr int64_t TILES_FIT = 1 << 17;

// Tiles that are transformed together: more than fit where filters are so large that reading them takes longer.
inline int64_t TilesTogether(int64_t perTile, int64_t all) {
  const int64_t most = std::clamp<int64_t>(TILES_FIT / (16 * perTile), 4 * TILE_ROWS, 16 * TILE_ROWS);
  return RoundUp(std::min(most, all), TILE_ROWS);
}

// Operands: the result, the input, filters of WinogradFilter. Parameters: see Tiles.
bool Winograd(const Call &c) {
  const Tiles tiles(c.p);
  const float *x = c.To<float>(1), *filters = c.To<float>(2);
  float *out = c.To<float>(0);
  const int64_t read = tiles.read, row = RoundUp(read, LANES), width = RoundUp(tiles.written, LANES);
  const int64_t filter = TransformedNumbers(read, tiles.written, LANES);
  const int64_t together = TilesTogether(row + width, tiles.end - tiles.begin);
  const int64_t apart = Apart(together * row), resultsApart = Apart(together * width);
  float *inputs = Scratch(16 * apart, 0), *results = Scratch(16 * resultsApart, 1);
  for (int64_t first = tiles.begin; first < tiles.end; first += together) {
    const int64_t count = std::min(together, tiles.end - first);
    TransformInput(tiles, x, first, count, 0, read, inputs, row, apart);
    for (int64_t m = 0; m < 16; m++) {
      const float *left = inputs + m * apart, *right = filters + m * filter;
      float *result = results + m * resultsApart;
      for (int64_t from = 0; from < read; from += TERMS) {
        const int64_t terms = std::min(TERMS, read - from);
        for (int64_t i = 0; i < count; i += TILE_ROWS) {
          const int64_t rows = std::min<int64_t>(TILE_ROWS, count - i);
          const float *begins[TILE_ROWS];
          float *found[TILE_ROWS];
          for (int64_t r = 0; r < TILE_ROWS; r++) {
            begins[r] = left + (i + r) * row;
            found[r] = result + (i + r) * width;
          }
          const Run run = {terms, from + terms, begins};
          const Runs source = {&run, &run + 1};
          for (int64_t j = 0; j < width; j += TILE_COLUMNS) {
            const float *panel = right + j * read + from * TILE_COLUMNS;
            if (width - j > LANES) AnyTile<2>(rows, source, panel, {found, j}, from > 0);
            else AnyTile<1>(rows, source, panel, {found, j}, from > 0);
          }
        }
      }
    }
    TransformResult(tiles, results, width, resultsApart, first, count, out);
  }
  return true;
}

// Transforms the gradients of some tiles: 16 matrices of panels with TILE_COLUMNS channels, each a row for a tile.
inline void TransformGradient(const Tiles &tiles, const float *g, int64_t first, int64_t count, int64_t together, float *to, int64_t apart) {
  Tiles::Walk at(tiles, first);
  const int64_t channels = tiles.written, image = tiles.high * tiles.wide * channels;
  const Floats floats = {g + tiles.images * image};
  for (int64_t t = 0; t < count; t++, at.Next()) {
    const float *places[2][2];
    FindPlaces(g + at.image * image, tiles.high, tiles.wide, at.y, at.x, channels, places);
    for (int64_t c = 0; c < channels; c += LANES) {
      float *place = to + PanelPlace(together, c) + t * TILE_COLUMNS;
      Transform<OfGradient>(
          [&](int i, int j) { return places[i][j] == nullptr ? Vector{} : floats.Read(places[i][j] + c); },
          [&](int i, int j, Vector v) { Store(place + (4 * i + j) * apart, v); });
    }
  }
}

// The gradient of filters. Operands: it, the input, the gradient of the result. Parameters: see Tiles.
bool WinogradFilterGradient(const Call &c) {
  const Tiles tiles(c.p);
  const float *x = c.To<float>(1), *g = c.To<float>(2);
  float *out = c.To<float>(0);
  const int64_t channels = tiles.end - tiles.begin, written = tiles.written;
  const int64_t row = RoundUp(channels, LANES), width = RoundUp(written, LANES), panels = RoundUp(written, TILE_COLUMNS);
  const int64_t together = std::min(TERMS, TilesTogether(row + panels, tiles.Count()));
  const int64_t apart = Apart(together * row), gradientsApart = Apart(together * panels);
  const int64_t sumsApart = Apart(RoundUp(channels, THIRD) * width);
  float *inputs = Scratch(16 * (apart + gradientsApart), 0), *gradients = inputs + 16 * apart, *sums = Scratch(16 * sumsApart, 1);
  const float *terms[TERMS];
  for (int64_t first = 0; first < tiles.Count(); first += together) {
    const int64_t count = std::min(together, tiles.Count() - first);
    TransformInput(tiles, x, first, count, tiles.begin, channels, inputs, row, apart);
    TransformGradient(tiles, g, first, count, together, gradients, gradientsApart);
    for (int64_t m = 0; m < 16; m++) {
      for (int64_t t = 0; t < count; t++) terms[t] = inputs + m * apart + t * row;
      for (int64_t i = 0; i < channels; i += TILE_ROWS) {
        const int64_t rows = std::min<int64_t>(TILE_ROWS, channels - i);
        float *found[TILE_ROWS];
        for (int64_t r = 0; r < TILE_ROWS; r++) found[r] = sums + m * sumsApart + (i + r) * width;
        const Columns source = {terms, count, i};
        for (int64_t j = 0; j < width; j += TILE_COLUMNS) {
          const float *panel = gradients + m * gradientsApart + j * together;
          if (width - j > LANES) AnyTile<2>(rows, source, panel, {found, j}, first > 0);
          else AnyTile<1>(rows, source, panel, {found, j}, first > 0);
        }
      }
    }
  }
  const int64_t size = tiles.read * written;
  for (int64_t r = 0; r < channels; r++)
    for (int64_t k = 0; k < written; k += LANES)
      Transform<OfFilterGradient>(
          [&](int i, int j) { return Load(sums + (4 * i + j) * sumsApart + r * width + k); },
          [&](int i, int j, Vector v) {
            float *put = out + (3 * i + j) * size + (tiles.begin + r) * written + k;
            StoreSome(put, v, std::min<int64_t>(LANES, written - k));
          });
  return true;
}
