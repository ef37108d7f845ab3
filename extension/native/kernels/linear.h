// Linear algebra of matrices that lie one after another, each in double precision, by the methods of
// tensor/ops/matrix/matrixValues.ts. Included by kernels.h. A matrix that TensorFlow would refuse is left to it, for its error.

// Parameter 0 of these kernels is the number of matrices; 1 and 2 are their sizes.

// The rows of A in the order that exchanges leave them. Answers the order's sign.
int OrderOf(const std::vector<int64_t> &exchanged, int64_t m, std::vector<int64_t> &order) {
  int sign = 1;
  order.resize(m);
  std::iota(order.begin(), order.end(), 0);
  for (size_t r = 0; r < exchanged.size(); r++) {
    if (exchanged[r] == static_cast<int64_t>(r)) continue;
    sign = -sign;
    std::swap(order[r], order[exchanged[r]]);
  }
  return sign;
}

// The factors of square matrices, and the order of their rows.
struct Factors {
  Doubles a;
  std::vector<int64_t> exchanged, order;
  int sign;

  void Read(const float *in, int64_t n) {
    CopyRows(a, in, n, n);
    exchanged.resize(n);
    Factor(a.data(), n, n, true, exchanged.data());
    sign = OrderOf(exchanged, n, order);
  }

  // X of AX = B, in the place of B with its rows in the new order. Answers false for an A that has no inverse.
  bool Solve(int64_t n, Doubles &x, int64_t m) const {
    for (int64_t r = 0; r < n; r++)
      if (!(std::fabs(a[r * RowStride(n) + r]) > 0)) return false;
    Substitute(a.data(), n, x.data(), m, true, true);
    Substitute(a.data(), n, x.data(), m, false, false);
    return true;
  }
};

bool MatrixInverse(const Call &c) {
  float *out = c.To<float>(0);
  const float *in = c.To<float>(1);
  const int64_t n = c.p[1], stride = RowStride(n);
  Factors factors;
  Doubles x;
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n, out += n * n) {
    factors.Read(in, n);
    x.assign(n * stride, 0);
    for (int64_t r = 0; r < n; r++) x[r * stride + factors.order[r]] = 1;
    if (!factors.Solve(n, x, n)) return false;
    CopyBack(out, x, n, n);
  }
  return true;
}

bool MatrixSolve(const Call &c) {
  float *out = c.To<float>(0);
  const float *in = c.To<float>(1), *right = c.To<float>(2);
  const int64_t n = c.p[1], m = c.p[2], stride = RowStride(m);
  Factors factors;
  Doubles x;
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n, right += n * m, out += n * m) {
    factors.Read(in, n);
    x.assign(n * stride, 0);
    for (int64_t r = 0; r < n; r++) std::copy_n(right + factors.order[r] * m, m, x.begin() + r * stride);
    if (!factors.Solve(n, x, m)) return false;
    CopyBack(out, x, n, m);
  }
  return true;
}

// The same for triangular matrices. Parameter 3: whether the lower triangle is given; 4 and 5: the first of B's columns, and the one
// after the last.
bool TriangularSolve(const Call &c) {
  float *out = c.To<float>(0);
  const float *in = c.To<float>(1), *right = c.To<float>(2);
  const int64_t n = c.p[1], m = c.p[2], from = c.p[4], columns = c.p[5] - from, stride = RowStride(columns);
  Doubles a, x;
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n, right += n * m, out += n * m) {
    CopyRows(a, in, n, n);
    x.assign(n * stride, 0);
    for (int64_t r = 0; r < n; r++) std::copy_n(right + r * m + from, columns, x.begin() + r * stride);
    Substitute(a.data(), n, x.data(), columns, c.p[3], false);
    for (int64_t r = 0; r < n; r++) std::copy_n(x.begin() + r * stride, columns, out + r * m + from);
  }
  return true;
}

// The factors of PA = LU in one matrix, L without its diagonal of ones, and for each row the one, from 1, that it was exchanged with.
// Parameter 3: whether rows are exchanged.
bool LuFactor(const Call &c) {
  float *out = c.To<float>(0);
  int32_t *pivots = c.To<int32_t>(1);
  const float *in = c.To<float>(2);
  const int64_t m = c.p[1], n = c.p[2], k = std::min(m, n);
  Doubles a;
  std::vector<int64_t> exchanged(k);
  for (int64_t b = 0; b < c.p[0]; b++, in += m * n, out += m * n, pivots += k) {
    CopyRows(a, in, m, n);
    Factor(a.data(), m, n, c.p[3], exchanged.data());
    CopyBack(out, a, m, n);
    for (int64_t r = 0; r < k; r++) pivots[r] = static_cast<int32_t>(exchanged[r] + 1);
  }
  return true;
}

// The order in which such exchanges leave rows. Parameters: batch, exchanges, rows.
bool PivotOrder(const Call &c) {
  int32_t *out = c.To<int32_t>(0);
  const int32_t *pivots = c.To<int32_t>(1);
  const int64_t k = c.p[1], m = c.p[2];
  std::vector<int64_t> exchanged(k), order;
  for (int64_t b = 0; b < c.p[0]; b++, pivots += k, out += m) {
    for (int64_t r = 0; r < k; r++) {
      exchanged[r] = int64_t{pivots[r]} - 1;
      if (exchanged[r] < 0 || exchanged[r] >= m) return false;
    }
    OrderOf(exchanged, m, order);
    std::copy(order.begin(), order.end(), out);
  }
  return true;
}

// The sign of determinants, and the logarithm of their size.
bool LogMatrixDeterminant(const Call &c) {
  float *signs = c.To<float>(0), *logs = c.To<float>(1);
  const float *in = c.To<float>(2);
  const int64_t n = c.p[1];
  Factors factors;
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n) {
    factors.Read(in, n);
    double sign = factors.sign, log = 0;
    for (int64_t i = 0; i < n; i++) {
      const double pivot = factors.a[i * RowStride(n) + i];
      log += std::log(std::fabs(pivot));
      sign *= pivot > 0 ? 1 : pivot < 0 ? -1 : pivot;
    }
    signs[b] = static_cast<float>(sign);
    logs[b] = static_cast<float>(log);
  }
  return true;
}

bool Cholesky(const Call &c) {
  float *out = c.To<float>(0);
  const float *in = c.To<float>(1);
  const int64_t n = c.p[1], stride = RowStride(n);
  Doubles a, turned;
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n, out += n * n) {
    // The lower triangle counts.
    a.assign(n * stride, 0);
    for (int64_t r = 0; r < n; r++)
      for (int64_t k = 0; k <= r; k++) a[k * stride + r] = in[r * n + k];
    if (!FactorSymmetric(a.data(), n, turned)) return false;
    for (int64_t r = 0; r < n; r++)
      for (int64_t k = 0; k < n; k++) out[r * n + k] = k > r ? 0 : static_cast<float>(a[k * stride + r]);
  }
  return true;
}

// H = I - tau v vᵀ of rows `from` to m, times the columns of x.
void Reflect(double *x, int64_t width, const Doubles &v, double tau, int64_t from, Doubles &sums) {
  sums.assign(width, 0);
  const int64_t m = static_cast<int64_t>(v.size());
  for (int64_t i = from; i < m; i++)
    for (int64_t c = 0; c < width; c++) sums[c] += v[i] * x[i * width + c];
  for (int64_t i = from; i < m; i++) {
    const double f = tau * v[i];
    for (int64_t c = 0; c < width; c++) x[i * width + c] -= f * sums[c];
  }
}

// Householder's reflections with LAPACK's signs. Q [m, k], R [k, n], k = min(m, n).
bool Qr(const Call &c) {
  float *outQ = c.To<float>(0), *outR = c.To<float>(1);
  const float *in = c.To<float>(2);
  const int64_t m = c.p[1], n = c.p[2], k = std::min(m, n);
  Doubles r, q, sums, taus(k);
  std::vector<Doubles> reflections(k);
  for (int64_t b = 0; b < c.p[0]; b++, in += m * n, outQ += m * k, outR += k * n) {
    r.assign(in, in + m * n);
    for (int64_t at = 0; at < k; at++) {
      double tail = 0;
      for (int64_t i = at + 1; i < m; i++) tail += r[i * n + at] * r[i * n + at];
      const double head = r[at * n + at];
      Doubles &v = reflections[at];
      v.assign(m, 0);
      v[at] = 1;
      taus[at] = 0;
      if (tail > 0) {
        const double beta = -std::copysign(std::sqrt(head * head + tail), head);
        taus[at] = (beta - head) / beta;
        for (int64_t i = at + 1; i < m; i++) v[i] = r[i * n + at] / (head - beta);
      }
      Reflect(r.data(), n, v, taus[at], at, sums);
    }
    q.assign(m * k, 0);
    for (int64_t i = 0; i < k; i++) q[i * k + i] = 1;
    for (int64_t at = k - 1; at >= 0; at--) Reflect(q.data(), k, reflections[at], taus[at], at, sums);
    std::copy(q.begin(), q.end(), outQ);
    for (int64_t i = 0; i < k; i++)
      for (int64_t j = 0; j < n; j++) outR[i * n + j] = j < i ? 0 : static_cast<float>(r[i * n + j]);
  }
  return true;
}

// Turns two numbers by an angle of so much cosine and sine.
inline void Turn(double &x, double &y, double cosine, double sine) {
  const double a = x, b = y;
  x = cosine * a - sine * b;
  y = sine * a + cosine * b;
}

// The same of two rows, which are not one.
inline void TurnRows(double *x, double *y, int64_t n, double cosine, double sine) {
  SAME_INDEX
  for (int64_t i = 0; i < n; i++) Turn(x[i], y[i], cosine, sine);
}

// The tangent of the angle that Jacobi's rotations turn by, from the cotangent of twice that angle.
inline double Tangent(double cotangent) {
  return (cotangent >= 0 ? 1 : -1) / (std::fabs(cotangent) + std::sqrt(cotangent * cotangent + 1));
}

inline double Cosine(double tangent) { return 1 / std::sqrt(tangent * tangent + 1); }

// The sum of products of two rows, in registers.
inline double Dot(const double *x, const double *y, int64_t n) {
  DoubleVector sums[2] = {};
  int64_t i = 0;
  for (; i + 2 * DOUBLE_LANES <= n; i += 2 * DOUBLE_LANES)
    for (int v = 0; v < 2; v++) sums[v] += Load(x + i + v * DOUBLE_LANES) * Load(y + i + v * DOUBLE_LANES);
  double parts[DOUBLE_LANES];
  Store(parts, sums[0] + sums[1]);
  double sum = std::accumulate(parts, parts + DOUBLE_LANES, 0.0);
  for (; i < n; i++) sum += x[i] * y[i];
  return sum;
}

constexpr int MOST_SWEEPS = 60;

// Eigenvalues of symmetric matrices in ascending order and eigenvectors as columns, by Jacobi's rotations. The lower triangle
// counts.
bool SelfAdjointEig(const Call &c) {
  float *values = c.To<float>(0), *vectors = c.To<float>(1);
  const float *in = c.To<float>(2);
  const int64_t n = c.p[1];
  Doubles s(n * n), v;
  std::vector<int64_t> order(n);
  for (int64_t b = 0; b < c.p[0]; b++, in += n * n, values += n, vectors += n * n) {
    for (int64_t r = 0; r < n; r++)
      for (int64_t k = 0; k < n; k++) s[r * n + k] = in[std::max(r, k) * n + std::min(r, k)];
    // Eigenvectors as rows, which lie in memory one after another.
    v.assign(n * n, 0);
    for (int64_t i = 0; i < n; i++) v[i * n + i] = 1;
    for (int sweep = 0; sweep < MOST_SWEEPS; sweep++) {
      double off = 0, all = 0;
      for (int64_t i = 0; i < n * n; i++) {
        all += s[i] * s[i];
        if (i % (n + 1) != 0) off += s[i] * s[i];
      }
      if (!std::isfinite(all)) return false;
      if (off <= 1e-30 * all) break;
      for (int64_t p = 0; p < n; p++)
        for (int64_t q = p + 1; q < n; q++) {
          const double element = s[p * n + q];
          if (element == 0) continue;
          const double t = Tangent((s[q * n + q] - s[p * n + p]) / (2 * element)), cosine = Cosine(t);
          for (int64_t k = 0; k < n; k++) Turn(s[k * n + p], s[k * n + q], cosine, t * cosine);
          TurnRows(&s[p * n], &s[q * n], n, cosine, t * cosine);
          TurnRows(&v[p * n], &v[q * n], n, cosine, t * cosine);
        }
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return s[i * n + i] < s[j * n + j]; });
    for (int64_t to = 0; to < n; to++) {
      values[to] = static_cast<float>(s[order[to] * n + order[to]]);
      for (int64_t r = 0; r < n; r++) vectors[r * n + to] = static_cast<float>(v[order[to] * n + r]);
    }
  }
  return true;
}

// Singular values in descending order and their vectors as columns, U [m, k] and V [n, k], by one-sided rotations.
bool Svd(const Call &c) {
  const int64_t m = c.p[1], n = c.p[2];
  // The longer side's vectors are those of the columns that are rotated.
  const bool wide = m < n;
  const int64_t length = std::max(m, n), k = std::min(m, n);
  float *values = c.To<float>(0), *longer = c.To<float>(wide ? 2 : 1), *shorter = c.To<float>(wide ? 1 : 2);
  const float *in = c.To<float>(3);
  Doubles w(k * length), v, norms(k);
  std::vector<int64_t> order(k);
  for (int64_t b = 0; b < c.p[0]; b++, in += m * n, values += k, longer += length * k, shorter += k * k) {
    // The columns as rows, which lie in memory one after another.
    for (int64_t i = 0; i < k; i++)
      for (int64_t j = 0; j < length; j++) w[i * length + j] = wide ? in[i * n + j] : in[j * n + i];
    v.assign(k * k, 0);
    for (int64_t i = 0; i < k; i++) v[i * k + i] = 1;
    const auto product = [&](int64_t p, int64_t q) { return Dot(&w[p * length], &w[q * length], length); };
    bool rotated = true;
    for (int sweep = 0; rotated && sweep < MOST_SWEEPS; sweep++) {
      rotated = false;
      for (int64_t p = 0; p < k; p++)
        for (int64_t q = p + 1; q < k; q++) {
          const double alpha = product(p, p), beta = product(q, q), gamma = product(p, q);
          if (!std::isfinite(alpha + beta)) return false;
          if (std::fabs(gamma) <= 1e-15 * std::sqrt(alpha * beta)) continue;
          rotated = true;
          const double t = Tangent((beta - alpha) / (2 * gamma)), cosine = Cosine(t);
          TurnRows(&w[p * length], &w[q * length], length, cosine, t * cosine);
          TurnRows(&v[p * k], &v[q * k], k, cosine, t * cosine);
        }
    }
    if (rotated) return false;
    for (int64_t i = 0; i < k; i++) {
      norms[i] = std::sqrt(product(i, i));
      // TensorFlow's method has vectors for these, too.
      if (norms[i] == 0) return false;
    }
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(), [&](int64_t i, int64_t j) { return norms[i] > norms[j]; });
    for (int64_t to = 0; to < k; to++) {
      const int64_t from = order[to];
      values[to] = static_cast<float>(norms[from]);
      for (int64_t i = 0; i < length; i++) longer[i * k + to] = static_cast<float>(w[from * length + i] / norms[from]);
      for (int64_t i = 0; i < k; i++) shorter[i * k + to] = static_cast<float>(v[from * k + i]);
    }
  }
  return true;
}

// Copies numbers that are finite, all of them.
bool CheckNumerics(const Call &c) {
  float *out = c.To<float>(0);
  const float *in = c.To<float>(1);
  for (int64_t i = 0; i < c.p[0]; i++) {
    if (!(std::fabs(in[i]) <= std::numeric_limits<float>::max())) return false;
    out[i] = in[i];
  }
  return true;
}
