// Triangular factors of matrices of doubles, part of kernels.h: block by block, so that most of the work is products whose sums
// stay in registers.

using Doubles = std::vector<double>;

typedef double DoubleVector __attribute__((vector_size(LANES * 4), aligned(8), may_alias));
constexpr int DOUBLE_LANES = LANES / 2;

inline DoubleVector Load(const double *p) { return *reinterpret_cast<const DoubleVector *>(p); }
inline void Store(double *p, DoubleVector v) { *reinterpret_cast<DoubleVector *>(p) = v; }

// Rows, or columns, of a block.
constexpr int64_t FACTOR_BLOCK = 32;

// Numbers from one row of a matrix to the next. Its lines are odd in number, so that a column's lie in different parts of the cache.
// Kernels compute whole registers of a row: the numbers behind its end belong to no other.
inline int64_t RowStride(int64_t columns) { return ((columns + 7) / 8 | 1) * 8; }

// A copy of floats with such rows.
inline void CopyRows(Doubles &out, const float *in, int64_t rows, int64_t columns) {
  const int64_t stride = RowStride(columns);
  out.assign(rows * stride, 0);
  for (int64_t r = 0; r < rows; r++) std::copy_n(in + r * columns, columns, out.begin() + r * stride);
}

inline void CopyBack(float *out, const Doubles &in, int64_t rows, int64_t columns) {
  const int64_t stride = RowStride(columns);
  for (int64_t r = 0; r < rows; r++) std::copy_n(in.begin() + r * stride, columns, out + r * columns);
}

template <int ROWS, int VECTORS>
inline void SubtractTile(double *c, int64_t ldc, const double *a, int64_t lda, const double *b, int64_t ldb, int64_t depth) {
  DoubleVector sums[ROWS][VECTORS];
  UNROLL
  for (int r = 0; r < ROWS; r++) {
    UNROLL
    for (int v = 0; v < VECTORS; v++) sums[r][v] = Load(c + r * ldc + v * DOUBLE_LANES);
  }
  for (int64_t k = 0; k < depth; k++, b += ldb) {
    DoubleVector y[VECTORS];
    UNROLL
    for (int v = 0; v < VECTORS; v++) y[v] = Load(b + v * DOUBLE_LANES);
    UNROLL
    for (int r = 0; r < ROWS; r++) {
      const DoubleVector x = a[r * lda + k] - DoubleVector{};
      UNROLL
      for (int v = 0; v < VECTORS; v++) sums[r][v] -= x * y[v];
    }
  }
  UNROLL
  for (int r = 0; r < ROWS; r++) {
    UNROLL
    for (int v = 0; v < VECTORS; v++) Store(c + r * ldc + v * DOUBLE_LANES, sums[r][v]);
  }
}

// C -= A B, in whole registers of C's rows: B's go as far. Numbers are `ldc`, `lda` and `ldb` apart from one row to the next.
inline void SubtractProduct(double *c, int64_t ldc, const double *a, int64_t lda, const double *b, int64_t ldb, int64_t rows,
                            int64_t depth, int64_t columns) {
  constexpr int MANY = LANES == 16 ? 8 : 4;
  constexpr int64_t WIDE = 2 * DOUBLE_LANES;
  for (int64_t j = 0; j < columns; j += WIDE) {
    const bool wide = columns - j > DOUBLE_LANES;
    int64_t r = 0;
    for (; r + MANY <= rows; r += MANY) {
      if (wide) SubtractTile<MANY, 2>(c + r * ldc + j, ldc, a + r * lda, lda, b + j, ldb, depth);
      else SubtractTile<MANY, 1>(c + r * ldc + j, ldc, a + r * lda, lda, b + j, ldb, depth);
    }
    for (; r < rows; r++) {
      if (wide) SubtractTile<1, 2>(c + r * ldc + j, ldc, a + r * lda, lda, b + j, ldb, depth);
      else SubtractTile<1, 1>(c + r * ldc + j, ldc, a + r * lda, lda, b + j, ldb, depth);
    }
  }
}

// PA = LU in place, A [m, n] with partial pivoting, or without. Writes the row that each of min(m, n) rows was exchanged with.
// A pivot of 0 divides nothing.
inline void Factor(double *a, int64_t m, int64_t n, bool pivots, int64_t *exchanged) {
  const int64_t stride = RowStride(n), k = std::min(m, n);
  for (int64_t begin = 0; begin < k; begin += FACTOR_BLOCK) {
    const int64_t end = std::min(begin + FACTOR_BLOCK, k);
    // What is right of the block begins with a whole register.
    const int64_t next = std::min((end + 7) / 8 * 8, n);
    for (int64_t c = begin; c < end; c++) {
      int64_t best = c;
      if (pivots)
        for (int64_t r = c + 1; r < m; r++)
          if (std::fabs(a[r * stride + c]) > std::fabs(a[best * stride + c])) best = r;
      exchanged[c] = best;
      double *top = a + c * stride;
      if (best != c) std::swap_ranges(top, top + n, a + best * stride);
      const double inverse = top[c] == 0 ? 1 : 1 / top[c];
      for (int64_t r = c + 1; r < m; r++) {
        double *row = a + r * stride;
        const double f = row[c] *= inverse;
        for (int64_t j = c + 1; j < next; j++) row[j] -= f * top[j];
      }
    }
    if (next == n) continue;
    double *right = a + next;
    const double *upper = right + begin * stride;
    for (int64_t r = begin + 1; r < end; r++)
      SubtractProduct(right + r * stride, stride, a + r * stride + begin, stride, upper, stride, 1, r - begin, n - next);
    SubtractProduct(right + end * stride, stride, a + end * stride + begin, stride, upper, stride, m - end, end - begin, n - next);
  }
}

// X of AX = B for a triangular A [n, n], in B's place. With `unit`, its diagonal counts as ones.
inline void Substitute(const double *a, int64_t n, double *x, int64_t columns, bool lower, bool unit) {
  const int64_t lda = RowStride(n), ldx = RowStride(columns);
  // Takes what rows `from` to `to` of X have to do with its rows from `first` on.
  const auto subtract = [&](int64_t first, int64_t rows, int64_t from, int64_t to) {
    SubtractProduct(x + first * ldx, ldx, a + first * lda + from, lda, x + from * ldx, ldx, rows, to - from, columns);
  };
  for (int64_t done = 0; done < n; done += FACTOR_BLOCK) {
    const int64_t count = std::min(FACTOR_BLOCK, n - done);
    const int64_t begin = lower ? done : n - done - count, end = begin + count;
    for (int64_t i = 0; i < count; i++) {
      const int64_t r = lower ? begin + i : end - 1 - i;
      if (lower) subtract(r, 1, begin, r);
      else subtract(r, 1, r + 1, end);
      if (unit) continue;
      // Division by a pivot of 0 is refused by neither TensorFlow nor PyTorch.
      for (int64_t j = 0; j < columns; j++) x[r * ldx + j] /= a[r * lda + r];
    }
    if (lower) subtract(end, n - end, begin, end);
    else subtract(0, begin, begin, end);
  }
}

// Lᵀ of A = LLᵀ, in A's upper triangle. Answers false for an A that has no such factor.
inline bool FactorSymmetric(double *a, int64_t n, Doubles &turned) {
  const int64_t stride = RowStride(n);
  turned.resize(n * FACTOR_BLOCK);
  for (int64_t begin = 0; begin < n; begin += FACTOR_BLOCK) {
    const int64_t end = std::min(begin + FACTOR_BLOCK, n);
    for (int64_t r = begin; r < end; r++) {
      // Whole registers, of which the first may lie left of the diagonal in part.
      const int64_t first = r / 8 * 8;
      for (int64_t k = begin; k < r; k++) turned[k - begin] = a[k * stride + r];
      SubtractProduct(a + r * stride + first, stride, turned.data(), FACTOR_BLOCK, a + begin * stride + first, stride, 1, r - begin,
                      n - first);
      double *row = a + r * stride;
      if (!(row[r] > 0)) return false;
      const double root = std::sqrt(row[r]);
      for (int64_t j = r; j < n; j++) row[j] /= root;
    }
    for (int64_t k = begin; k < end; k++)
      for (int64_t r = end; r < n; r++) turned[(r - end) * FACTOR_BLOCK + k - begin] = a[k * stride + r];
    for (int64_t r = end; r < n; r += 8)
      SubtractProduct(a + r * stride + r, stride, turned.data() + (r - end) * FACTOR_BLOCK, FACTOR_BLOCK, a + begin * stride + r, stride,
                      std::min<int64_t>(8, n - r), end - begin, n - r);
  }
  return true;
}
