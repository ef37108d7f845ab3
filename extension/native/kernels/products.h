// Products of matrices, part of kernels.h. A matrix is copied in blocks, so that a tile of the result stays in registers while
// both factors are read in the order of memory.

// The rows of a tile, and the registers of each row: as many sums as there are registers for.
constexpr int TILE_ROWS = LANES == 16 ? 12 : 6;
constexpr int TILE_COLUMNS = 2 * LANES;
// A tile has so many rows, or twice or three times as many.
constexpr int THIRD = TILE_ROWS / 3;
// Terms that are added as floats one after the other: sums of these are added in turn, so that long ones keep their digits.
constexpr int64_t TERMS = 256;
// Columns of the right matrix that are copied together: a block of TERMS rows fits into the second cache.
constexpr int64_t BLOCK_COLUMNS = 512;
// Rows from which on copying the right matrix is worth while, and one that has columns in memory.
constexpr int64_t MIN_PACKED_ROWS = 24;
constexpr int64_t MIN_TURNED_ROWS = 8;

// Where a tile of a result is: in some rows, from a column on.
struct Place {
  float *const *rows;
  int64_t column;
};

// The rows of a result lie apart, so the processor doesn't foresee which memory is written next.
template <int ROWS, int VECTORS>
inline void PrefetchTile(const Place &out) {
  for (int r = 0; r < ROWS; r++)
    for (int64_t j = 0; j < VECTORS * LANES; j += LINE) __builtin_prefetch(out.rows[r] + out.column + j, 1);
}

template <int ROWS, int VECTORS>
inline void StoreTile(const Vector (&sums)[ROWS][VECTORS], const Place &out, bool add) {
  UNROLL
  for (int r = 0; r < ROWS; r++) {
    UNROLL
    for (int v = 0; v < VECTORS; v++) {
      float *to = out.rows[r] + out.column + v * LANES;
      Store(to, add ? Load(to) + sums[r][v] : sums[r][v]);
    }
  }
}

// Of registers: `= {}` would clear memory, too.
template <int ROWS, int VECTORS>
inline void Clear(Vector (&sums)[ROWS][VECTORS]) {
  UNROLL
  for (int r = 0; r < ROWS; r++) {
    UNROLL
    for (int v = 0; v < VECTORS; v++) sums[r][v] = Vector{};
  }
}

// `a` has TILE_ROWS numbers for each term, `b` has TILE_COLUMNS.
template <int ROWS, int VECTORS>
void Tile(int64_t terms, const float *a, const float *b, const Place &out, bool add) {
  PrefetchTile<ROWS, VECTORS>(out);
  Vector sums[ROWS][VECTORS];
  Clear(sums);
  for (int64_t p = 0; p < terms; p++, a += TILE_ROWS, b += TILE_COLUMNS) {
    Vector y[VECTORS];
    for (int v = 0; v < VECTORS; v++) y[v] = Load(b + v * LANES);
    for (int r = 0; r < ROWS; r++) {
      const Vector x = Splat(a[r]);
      for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
    }
  }
  StoreTile(sums, out, add);
}

// Terms whose rows each lie in one piece, which ends so far behind the row's place.
struct Run {
  int64_t length, end;
  const float *const *rows;
};

// The same with rows that lie apart.
template <int ROWS, int VECTORS>
void TileOfRuns(const Run *run, const Run *end, const float *b, const Place &out, bool add) {
  PrefetchTile<ROWS, VECTORS>(out);
  Vector sums[ROWS][VECTORS];
  Clear(sums);
  for (; run < end; run++) {
    // Counting up to 0 leaves a general register for each row.
    const float *rows[ROWS];
    for (int r = 0; r < ROWS; r++) rows[r] = run->rows[r] + run->end;
    for (int64_t p = -run->length; p < 0; p++, b += TILE_COLUMNS) {
      Vector y[VECTORS];
      for (int v = 0; v < VECTORS; v++) y[v] = Load(b + v * LANES);
      for (int r = 0; r < ROWS; r++) {
        const Vector x = Splat(rows[r][p]);
        for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
      }
    }
  }
  StoreTile(sums, out, add);
}

// The same with the rows of each term side by side; a term that is null has zeros.
template <int ROWS, int VECTORS>
void TileOfColumns(const float *const *term, int64_t terms, int64_t offset, const float *b, const Place &out, bool add) {
  PrefetchTile<ROWS, VECTORS>(out);
  Vector sums[ROWS][VECTORS];
  Clear(sums);
  for (const float *const *end = term + terms; term < end; term++, b += TILE_COLUMNS) {
    if (*term == nullptr) continue;
    const float *a = *term + offset;
    Vector y[VECTORS];
    for (int v = 0; v < VECTORS; v++) y[v] = Load(b + v * LANES);
    for (int r = 0; r < ROWS; r++) {
      const Vector x = Splat(a[r]);
      for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
    }
  }
  StoreTile(sums, out, add);
}

// Rows of a left matrix that were copied.
struct Packed {
  const float *a;
  int64_t terms;

  template <int ROWS, int VECTORS>
  void Compute(const float *b, const Place &out, bool add) const {
    Tile<ROWS, VECTORS>(terms, a, b, out, add);
  }
};

// Rows of a left matrix that are read where they lie.
struct Runs {
  const Run *begin, *end;

  template <int ROWS, int VECTORS>
  void Compute(const float *b, const Place &out, bool add) const {
    TileOfRuns<ROWS, VECTORS>(begin, end, b, out, add);
  }
};

// Columns of a left matrix that are read where they lie.
struct Columns {
  const float *const *begins;
  int64_t terms, offset;

  template <int ROWS, int VECTORS>
  void Compute(const float *b, const Place &out, bool add) const {
    TileOfColumns<ROWS, VECTORS>(begins, terms, offset, b, out, add);
  }
};

// Columns up to which registers hold rows: those that hold columns would be nearly empty.
constexpr int64_t NARROW = 4;

// The same with very few columns.
template <int WIDTH>
void NarrowTile(int64_t rows, const Packed &left, const float *b, const Place &out, bool add) {
  // Several sums of each: an addition waits for the one before.
  constexpr int TOGETHER = 4;
  Vector sums[TOGETHER][WIDTH];
  Clear(sums);
  const auto multiply = [&](int64_t p, int k) {
    const Vector x = Load(left.a + p * TILE_ROWS);
    for (int q = 0; q < WIDTH; q++) sums[k][q] += x * Splat(b[p * TILE_COLUMNS + q]);
  };
  int64_t p = 0;
  for (; p + TOGETHER <= left.terms; p += TOGETHER)
    for (int k = 0; k < TOGETHER; k++) multiply(p + k, k);
  for (; p < left.terms; p++) multiply(p, 0);
  for (int q = 0; q < WIDTH; q++) {
    float all[LANES];
    Store(all, sums[0][q] + sums[1][q] + (sums[2][q] + sums[3][q]));
    for (int64_t r = 0; r < rows; r++) {
      float *to = out.rows[r] + out.column + q;
      *to = add ? *to + all[r] : all[r];
    }
  }
}

// A tile of up to TILE_ROWS rows, with as many sums as these need.
template <int VECTORS, class Source>
void AnyTile(int64_t rows, const Source &source, const float *b, const Place &out, bool add) {
  if (rows > 2 * THIRD) source.template Compute<3 * THIRD, VECTORS>(b, out, add);
  else if (rows > THIRD) source.template Compute<2 * THIRD, VECTORS>(b, out, add);
  else source.template Compute<THIRD, VECTORS>(b, out, add);
}

// a[0] b[0] a[1] b[1] …, of the lower halves or of the upper ones.
#if LANES == 16
#define LOWER 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23
#define UPPER 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31
#elif LANES == 8
#define LOWER 0, 8, 1, 9, 2, 10, 3, 11
#define UPPER 4, 12, 5, 13, 6, 14, 7, 15
#else
#define LOWER 0, 4, 1, 5
#define UPPER 2, 6, 3, 7
#endif
#if defined(__clang__) || __GNUC__ >= 12
inline Vector Lower(Vector a, Vector b) { return __builtin_shufflevector(a, b, LOWER); }
inline Vector Upper(Vector a, Vector b) { return __builtin_shufflevector(a, b, UPPER); }
#else
typedef int32_t Places __attribute__((vector_size(LANES * 4)));
inline Vector Lower(Vector a, Vector b) { return __builtin_shuffle(a, b, Places{LOWER}); }
inline Vector Upper(Vector a, Vector b) { return __builtin_shuffle(a, b, Places{UPPER}); }
#endif
#undef LOWER
#undef UPPER

// Interleaves the first half of some rows with the second.
inline void Interleave(const Vector *rows, Vector *next) {
  UNROLL
  for (int i = 0; i < LANES / 2; i++) {
    next[2 * i] = Lower(rows[i], rows[i + LANES / 2]);
    next[2 * i + 1] = Upper(rows[i], rows[i + LANES / 2]);
  }
}

// Transposes a square of LANES rows, the last of which may be the same one again.
inline void Turn(const float *from, int64_t stride, int64_t rows, float *to, int64_t width) {
  Vector a[LANES], b[LANES];
  UNROLL
  for (int i = 0; i < LANES; i++) a[i] = Load(from + std::min<int64_t>(i, rows - 1) * stride);
  Interleave(a, b);
  Interleave(b, a);
  if (LANES >= 8) Interleave(a, b);
  if (LANES == 16) Interleave(b, a);
  const Vector *turned = LANES == 8 ? b : a;
  UNROLL
  for (int i = 0; i < LANES; i++) Store(to + i * width, turned[i]);
}

// A left matrix by its strides: its transpose is the same numbers with both exchanged.
struct Left {
  const float *at;
  int64_t row, column;

  int64_t Height(int64_t, int64_t rows) const { return std::min<int64_t>(TILE_ROWS, rows); }

  // Copies a part, TILE_ROWS numbers for each term. What is beyond its rows isn't used.
  Packed Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *to) const {
    const float *source = at + first * row + from * column;
    if (row == 1) {
      for (int64_t p = 0; p < terms; p++) {
        const float *term = source + p * column;
        if (rows == TILE_ROWS) memcpy(to + p * TILE_ROWS, term, TILE_ROWS * sizeof(float));
        else for (int64_t r = 0; r < rows; r++) to[p * TILE_ROWS + r] = term[r];
      }
    } else {
      int64_t begin = 0;
      // What a square writes beyond its rows, the next term's numbers take the place of.
      if (LANES >= TILE_ROWS && column == 1)
        for (; begin + LANES <= terms; begin += LANES) Turn(source + begin, row, rows, to + begin * TILE_ROWS, TILE_ROWS);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t p = begin; p < terms; p++) to[p * TILE_ROWS + r] = source[r * row + p * column];
    }
    return {to, terms};
  }
};

// A right matrix with rows in memory, or with columns.
struct Right {
  const float *at;
  int64_t rows, columns;
  bool transposed;

  // Copies columns as panels of TILE_COLUMNS, so many floats apart, the last one with zeros for what is missing.
  void Pack(int64_t from, int64_t terms, int64_t first, int64_t end, float *to, int64_t panel) const {
    if (!transposed) return PackRows(at + from * columns + first, columns, terms, end - first, to, panel);
    for (int64_t j = first; j < end; j += TILE_COLUMNS, to += panel)
      PackColumns(at + j * rows + from, rows, terms, std::min<int64_t>(TILE_COLUMNS, end - j), to);
  }

  // Some panels at once, and rows ahead: each row is another page of memory, which the processor doesn't foresee.
  static void PackRows(const float *source, int64_t stride, int64_t terms, int64_t width, float *to, int64_t panel) {
    constexpr int64_t TOGETHER = 4;
    for (; width >= TOGETHER * TILE_COLUMNS; width -= TOGETHER * TILE_COLUMNS, to += TOGETHER * panel) {
      for (int64_t p = 0; p < terms; p++) {
        const float *row = source + p * stride;
        for (int64_t j = 0; j < TOGETHER * TILE_COLUMNS; j += LINE) __builtin_prefetch(row + 4 * stride + j);
        for (int64_t k = 0; k < TOGETHER; k++)
          for (int64_t v = 0; v < TILE_COLUMNS; v += LANES)
            Store(to + k * panel + p * TILE_COLUMNS + v, Load(row + k * TILE_COLUMNS + v));
      }
      source += TOGETHER * TILE_COLUMNS;
    }
    for (; width >= TILE_COLUMNS; width -= TILE_COLUMNS, source += TILE_COLUMNS, to += panel)
      for (int64_t p = 0; p < terms; p++)
        for (int64_t v = 0; v < TILE_COLUMNS; v += LANES) Store(to + p * TILE_COLUMNS + v, Load(source + p * stride + v));
    if (width > 0)
      for (int64_t p = 0; p < terms; p++)
        for (int64_t j = 0; j < TILE_COLUMNS; j++) to[p * TILE_COLUMNS + j] = j < width ? source[p * stride + j] : 0.0f;
  }

  static void PackColumns(const float *source, int64_t stride, int64_t terms, int64_t width, float *to) {
    if (width < TILE_COLUMNS) std::fill_n(to, terms * TILE_COLUMNS, 0.0f);
    const int64_t squares = width / LANES * LANES;
    for (int64_t p = 0; p < terms; p += LANES) {
      const int64_t end = std::min<int64_t>(terms, p + LANES);
      int64_t j = 0;
      if (end - p == LANES)
        for (; j < squares; j += LANES) Turn(source + j * stride + p, stride, LANES, to + p * TILE_COLUMNS + j, TILE_COLUMNS);
      for (; j < width; j++)
        for (int64_t q = p; q < end; q++) to[q * TILE_COLUMNS + j] = source[j * stride + q];
    }
  }
};

// Rows of the result that follow one another.
struct Dense {
  float *at;
  int64_t stride;

  void Find(int64_t first, int64_t rows, float **found) const {
    for (int64_t r = 0; r < rows; r++) found[r] = at + (first + r) * stride;
  }
};

// A part of a product.
struct Part {
  int64_t row, rowEnd, column, columnEnd;
};

template <class A, class B, class Out>
void Multiply(const Part &part, int64_t depth, A &&a, const B &b, const Out &out) {
  const int64_t block = std::min(BLOCK_COLUMNS, (part.columnEnd - part.column + TILE_COLUMNS - 1) / TILE_COLUMNS * TILE_COLUMNS);
  float *left = Scratch(TERMS * TILE_ROWS + TILE_ROWS * TILE_COLUMNS, 0);
  float *buffer = left + TERMS * TILE_ROWS;
  float *right = Scratch(TERMS * block, 1);
  float *buffered[TILE_ROWS], *found[TILE_ROWS];
  for (int64_t r = 0; r < TILE_ROWS; r++) buffered[r] = buffer + r * TILE_COLUMNS;
  for (int64_t from = 0; from < depth; from += TERMS) {
    const int64_t terms = std::min(TERMS, depth - from);
    const bool add = from > 0;
    for (int64_t first = part.column; first < part.columnEnd; first += block) {
      const int64_t end = std::min(part.columnEnd, first + block);
      b.Pack(from, terms, first, end, right, terms * TILE_COLUMNS);
      for (int64_t i = part.row, rows; i < part.rowEnd; i += rows) {
        rows = a.Height(i, part.rowEnd - i);
        const auto source = a.Prepare(i, rows, from, terms, left);
        out.Find(i, rows, found);
        const bool even = rows % THIRD == 0;
        for (int64_t j = first; j < end; j += TILE_COLUMNS) {
          const float *panel = right + (j - first) * terms;
          const int64_t width = std::min<int64_t>(TILE_COLUMNS, end - j);
          if (even && width % LANES == 0) {
            if (width > LANES) AnyTile<2>(rows, source, panel, {found, j}, add);
            else AnyTile<1>(rows, source, panel, {found, j}, add);
            continue;
          }
          if constexpr (std::is_same<decltype(source), const Packed>::value && LANES >= TILE_ROWS) {
            if (width <= NARROW) {
              if (width == 1) NarrowTile<1>(rows, source, panel, {found, j}, add);
              else if (width == 2) NarrowTile<2>(rows, source, panel, {found, j}, add);
              else if (width == 3) NarrowTile<3>(rows, source, panel, {found, j}, add);
              else NarrowTile<4>(rows, source, panel, {found, j}, add);
              continue;
            }
          }
          if (width > LANES) AnyTile<2>(rows, source, panel, {buffered, 0}, false);
          else AnyTile<1>(rows, source, panel, {buffered, 0}, false);
          for (int64_t r = 0; r < rows; r++) {
            float *to = found[r] + j;
            const float *sums = buffered[r];
            if (add) for (int64_t q = 0; q < width; q++) to[q] += sums[q];
            else for (int64_t q = 0; q < width; q++) to[q] = sums[q];
          }
        }
      }
    }
  }
}

// ---- Few rows: the right matrix is read as it lies ----

template <int ROWS, int VECTORS>
void Strip(int64_t depth, Left a, const float *b, int64_t ldb, float *out, int64_t ldo) {
  for (int64_t from = 0; from < depth; from += TERMS) {
    Vector sums[ROWS][VECTORS];
    Clear(sums);
    for (int64_t p = from, end = std::min(depth, from + TERMS); p < end; p++) {
      Vector y[VECTORS];
      for (int v = 0; v < VECTORS; v++) y[v] = Load(b + p * ldb + v * LANES);
      for (int r = 0; r < ROWS; r++) {
        const Vector x = Splat(a.at[r * a.row + p * a.column]);
        for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
      }
    }
    for (int r = 0; r < ROWS; r++)
      for (int v = 0; v < VECTORS; v++) {
        float *to = out + r * ldo + v * LANES;
        Store(to, from == 0 ? sums[r][v] : Load(to) + sums[r][v]);
      }
  }
}

template <int VECTORS>
void Strips(int64_t m, int64_t depth, Left a, const float *b, int64_t ldb, float *out, int64_t ldo) {
  int64_t i = 0;
  for (; i + 4 <= m; i += 4) Strip<4, VECTORS>(depth, {a.at + i * a.row, a.row, a.column}, b, ldb, out + i * ldo, ldo);
  for (; i < m; i++) Strip<1, VECTORS>(depth, {a.at + i * a.row, a.row, a.column}, b, ldb, out + i * ldo, ldo);
}

// out[m, n] = a[m, depth] · b[depth, n], a part of a product with so many rows and columns. It has the numbers that the whole has there,
// so that results are the same for any number of threads.
void FewRows(int64_t m, int64_t n, int64_t depth, Left a, const float *b, int64_t ldb, float *out, int64_t ldo, int64_t allRows,
             int64_t allColumns) {
  const bool veryFew = allRows < 4;
  int64_t j = 0;
  // A row alone needs more sums at a time than one of four: each addition waits for the one before.
  if (veryFew)
    for (; j + 8 * LANES <= n; j += 8 * LANES) Strips<8>(m, depth, a, b + j, ldb, out + j, ldo);
  for (; j + 3 * LANES <= n; j += 3 * LANES) Strips<3>(m, depth, a, b + j, ldb, out + j, ldo);
  for (; j + LANES <= n; j += LANES) Strips<1>(m, depth, a, b + j, ldb, out + j, ldo);
  const int64_t rest = n - j;
  if (rest == 0) return;
  if (veryFew && allColumns >= LANES) {
    // Columns are the same numbers in any strip: the last one begins in the one before, which may be another part's.
    float last[3 * LANES];
    Strips<1>(m, depth, a, b + n - LANES, ldb, last, LANES);
    for (int64_t i = 0; i < m; i++) std::copy_n(last + (i + 1) * LANES - rest, rest, out + i * ldo + j);
    return;
  }
  if (!veryFew && rest > 1) {
    // The last columns, padded to a register.
    float *padded = Scratch(depth * LANES + 4 * LANES, 1);
    float *block = padded + depth * LANES;
    for (int64_t p = 0; p < depth; p++)
      for (int64_t q = 0; q < LANES; q++) padded[p * LANES + q] = q < rest ? b[p * ldb + j + q] : 0.0f;
    for (int64_t i = 0; i < m; i += 4) {
      const int64_t rows = std::min<int64_t>(4, m - i);
      Strips<1>(rows, depth, {a.at + i * a.row, a.row, a.column}, padded, LANES, block, LANES);
      for (int64_t r = 0; r < rows; r++)
        for (int64_t q = 0; q < rest; q++) out[(i + r) * ldo + j + q] = block[r * LANES + q];
    }
    return;
  }
  for (int64_t i = 0; i < m; i++)
    for (int64_t q = j; q < n; q++) {
      double sum = 0;
      for (int64_t p = 0; p < depth; p++) sum += a.at[i * a.row + p * a.column] * b[p * ldb + q];
      out[i * ldo + q] = static_cast<float>(sum);
    }
}

// The sums of four registers.
inline void SumFour(const Vector *v, float *sums) {
  const Vector ab = Lower(v[0], v[1]) + Upper(v[0], v[1]), cd = Lower(v[2], v[3]) + Upper(v[2], v[3]);
  // In the order a, c, b, d, as often as there is room.
  float parts[LANES];
  Store(parts, Lower(ab, cd) + Upper(ab, cd));
  for (int width = LANES / 2; width >= 4; width /= 2)
    for (int i = 0; i < width; i++) parts[i] += parts[i + width];
  sums[0] = parts[0];
  sums[1] = parts[2];
  sums[2] = parts[1];
  sums[3] = parts[3];
}

// Rows of the left matrix that are multiplied together: as many as there are registers for.
constexpr int DOT_ROWS = LANES == 16 ? 4 : 3;

// Products of rows with rows.
template <int ROWS, int COLUMNS>
void Dots(int64_t depth, const float *a, int64_t lda, const float *b, float *out, int64_t ldo) {
  float totals[ROWS][COLUMNS] = {};
  for (int64_t from = 0; from < depth; from += LANES * TERMS) {
    const int64_t end = std::min(depth, from + LANES * TERMS);
    Vector sums[ROWS][COLUMNS];
    Clear(sums);
    int64_t p = from;
    for (; p + LANES <= end; p += LANES) {
      Vector x[ROWS];
      for (int r = 0; r < ROWS; r++) x[r] = Load(a + r * lda + p);
      for (int q = 0; q < COLUMNS; q++) {
        const Vector y = Load(b + q * depth + p);
        for (int r = 0; r < ROWS; r++) sums[r][q] += x[r] * y;
      }
    }
    for (int r = 0; r < ROWS; r++) {
      float parts[COLUMNS];
      if constexpr (COLUMNS == 4) SumFour(sums[r], parts);
      else parts[0] = SumLanes(sums[r][0]);
      for (int q = 0; q < COLUMNS; q++) {
        for (int64_t rest = p; rest < end; rest++) parts[q] += a[r * lda + rest] * b[q * depth + rest];
        totals[r][q] += parts[q];
      }
    }
  }
  for (int r = 0; r < ROWS; r++) std::copy_n(totals[r], COLUMNS, out + r * ldo);
}

template <int ROWS>
void DotRows(int64_t n, int64_t depth, const float *a, int64_t lda, const float *b, float *out, int64_t ldo) {
  int64_t j = 0;
  for (; j + 4 <= n; j += 4) Dots<ROWS, 4>(depth, a, lda, b + j * depth, out + j, ldo);
  for (; j < n; j++) Dots<ROWS, 1>(depth, a, lda, b + j * depth, out + j, ldo);
}

// A part of out[m, n] = a · b, of which b may be given as [n, depth].
void Product(int64_t m, int64_t n, int64_t depth, Left a, const float *b, bool transposed, float *out, Part part) {
  const int64_t rows = part.rowEnd - part.row, columns = part.columnEnd - part.column;
  const bool dots = transposed && a.column == 1 && depth >= LANES;
  // Measured with 1 to 33 columns and 64 to 3136 terms: longer ones are worth no copy, of which a panel would be empty in part.
  const bool copies = !transposed ? m >= MIN_PACKED_ROWS : !dots || (m >= MIN_TURNED_ROWS && (n >= TILE_COLUMNS || depth < 20 * n));
  if (copies)
    return Multiply(part, depth, a, Right{b, depth, n, transposed}, Dense{out, n});
  a.at += part.row * a.row;
  out += part.row * n + part.column;
  if (!dots) return FewRows(rows, columns, depth, a, b + part.column, n, out, n, m, n);
  b += part.column * depth;
  int64_t i = 0;
  for (; i + DOT_ROWS <= rows; i += DOT_ROWS) DotRows<DOT_ROWS>(columns, depth, a.at + i * a.row, a.row, b, out + i * n, n);
  const float *rest = a.at + i * a.row;
  out += i * n;
  if (rows - i == 3) DotRows<3>(columns, depth, rest, a.row, b, out, n);
  else if (rows - i == 2) DotRows<2>(columns, depth, rest, a.row, b, out, n);
  else if (rows - i == 1) DotRows<1>(columns, depth, rest, a.row, b, out, n);
}

// Parameters: the part's rows and columns; m, n, depth; whether a is [depth, m], b is [n, depth]; batch dimensions, their
// sizes, strides of a and b.
bool MatMul(const Call &c) {
  float *out = c.To<float>(0);
  const Part part = {c.p[0], c.p[1], c.p[2], c.p[3]};
  const int64_t m = c.p[4], n = c.p[5], depth = c.p[6];
  const bool turnedA = c.p[7], turnedB = c.p[8];
  const int64_t rank = c.p[9];
  const int64_t *sizes = c.p + 10;
  const int64_t *strides[] = {sizes + rank, sizes + 2 * rank};
  Odometer<2> at(rank, sizes, strides);
  do {
    const float *a = c.To<float>(1) + at.offset[0];
    const Left left = turnedA ? Left{a, 1, m} : Left{a, depth, 1};
    Product(m, n, depth, left, c.To<float>(2) + at.offset[1], turnedB, out, part);
    out += m * n;
  } while (at.Next());
  return true;
}
