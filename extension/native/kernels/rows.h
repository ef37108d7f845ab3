// Functions of rows: softmax, its logarithm, cross-entropy, layer norm, and their gradients. Included by kernels.h.

typedef int32_t Mask __attribute__((vector_size(LANES * 4)));

template <class F>
Vector Lanewise(Vector x, const F &f) {
  float lanes[LANES];
  Store(lanes, x);
  for (int i = 0; i < LANES; i++) lanes[i] = f(lanes[i]);
  return Load(lanes);
}
inline Vector ExpOf(Vector x) {
  return Lanewise(x, [](float one) { return ExpOf(one); });
}
inline Vector LogOf(Vector x) {
  return Lanewise(x, [](float one) { return LogOf(one); });
}
// Of one number, without the branches that its logarithm alone would be compiled to.
inline float LogOfOne(float x) { return LogOf(Splat(x))[0]; }

inline float LargestLane(Vector v) {
  float lanes[LANES];
  Store(lanes, v);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) lanes[i] = lanes[i] > lanes[i + width] ? lanes[i] : lanes[i + width];
  return lanes[0];
}

// Walks through rows that follow one another, a register at a time. The last register of a row is read and written as a whole, with
// numbers of the next row, which is written later; only where no row follows are there buffers in between.
class Rows {
 public:
  Rows(int64_t rows, int64_t n) : last_((n - 1) / LANES * LANES), left_(n - last_) {
    for (int i = 0; i < LANES; i++) own_[i] = i < left_ ? -1 : 0;
    const int64_t count = rows * n - last_ - LANES;
    whole_ = count < 0 ? 0 : count / n + 1;
  }

  void Begin(int64_t row) { isWhole_ = row < whole_; }

  // Calls `f` with the place of each register.
  template <class F>
  void Each(const F &f) const {
    for (int64_t i = 0; i < last_; i += LANES) f(i);
    f(last_);
  }

  // The register at a place of a row; `beyond` is what it has beyond the row.
  Vector Get(const float *row, int64_t i, float beyond) const {
    if (i < last_) return Load(row + i);
    if (isWhole_) return own_ ? Load(row + i) : Splat(beyond);
    float lanes[LANES];
    Store(lanes, Splat(beyond));
    memcpy(lanes, row + i, left_ * sizeof(float));
    return Load(lanes);
  }

  void Put(float *row, int64_t i, Vector x) const {
    if (i < last_ || isWhole_) return Store(row + i, x);
    float lanes[LANES];
    Store(lanes, x);
    memcpy(row + i, lanes, left_ * sizeof(float));
  }

  // Adds up registers: those of a block as floats, blocks as doubles.
  template <class F>
  double Sum(const F &term) const {
    constexpr int64_t BLOCK = 512;
    double sum = 0;
    for (int64_t begin = 0; begin <= last_; begin += BLOCK) {
      Vector some{};
      for (int64_t i = begin; i <= std::min(last_, begin + BLOCK - LANES); i += LANES) some += term(i);
      sum += SumLanes(some);
    }
    return sum;
  }

  float Largest(const float *row) const {
    // A NaN that is left out here makes sums of exponentials NaN.
    Vector largest = Splat(-INFINITY);
    Each([&](int64_t i) {
      const Vector own = Get(row, i, -INFINITY);
      largest = largest > own ? largest : own;
    });
    return LargestLane(largest);
  }

 private:
  const int64_t last_, left_;
  int64_t whole_;
  Mask own_;
  bool isWhole_ = false;
};

// Rows as short as this are computed side by side: of one alone, most of a register is empty, and most time goes into sums of its lanes.
constexpr int64_t SHORT = 3 * LANES;

// LANES short rows, turned: a register has the numbers of one column.
class ShortRows {
 public:
  explicit ShortRows(int64_t n) : n_(n), all_(Scratch(n * LANES, 0)) {
    for (int64_t r = 0; r < LANES; r++) rows_.push_back(r * n);
    for (int64_t i = 0; i < n; i++) columns_.push_back(i * LANES);
  }

  float *Column(int64_t i) { return all_ + i * LANES; }

  // Calls `f` with the first of some rows, how many there are, the largest number of each, and the sum of their exponentials, which the
  // columns have then.
  template <class F>
  void Each(const float *x, int64_t rows, const F &f) {
    for (int64_t r = 0; r < rows; r += LANES, x += n_ * LANES) {
      const int64_t some = std::min<int64_t>(LANES, rows - r);
      if (some < LANES) {
        std::fill_n(all_, n_ * LANES, 0.0f);
        rows_.resize(some);
      }
      Turn(reinterpret_cast<Word *>(all_), columns_, reinterpret_cast<const Word *>(x), rows_);
      // As in Rows.
      Vector largest = Splat(-INFINITY), sums[2] = {};
      for (int64_t i = 0; i < n_; i++) {
        const Vector own = Load(Column(i));
        largest = largest > own ? largest : own;
      }
      for (int64_t i = 0; i < n_; i++) {
        const Vector y = ExpOf(Load(Column(i)) - largest);
        Store(Column(i), y);
        sums[i % 2] += y;
      }
      f(r, some, largest, sums[0] + sums[1]);
    }
  }

  // Writes the columns as rows.
  void Write(float *out) {
    Turn(reinterpret_cast<Word *>(out), rows_, reinterpret_cast<const Word *>(all_), columns_);
  }

 private:
  const int64_t n_;
  float *const all_;
  std::vector<int64_t> rows_, columns_;
};

// Parameters of these: rows, numbers in a row.

bool Softmax(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1);
  const int64_t n = c.p[1];
  if (n <= SHORT) {
    ShortRows rows(n);
    rows.Each(x, c.p[0], [&](int64_t r, int64_t, Vector, Vector sum) {
      for (int64_t i = 0; i < n; i++) Store(rows.Column(i), Load(rows.Column(i)) / sum);
      rows.Write(out + r * n);
    });
    return true;
  }
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += n) {
    rows.Begin(r);
    const float largest = rows.Largest(x);
    const float sum = static_cast<float>(rows.Sum([&](int64_t i) {
      const Vector y = ExpOf(rows.Get(x, i, -INFINITY) - largest);
      rows.Put(out, i, y);
      return y;
    }));
    rows.Each([&](int64_t i) { rows.Put(out, i, rows.Get(out, i, 0) / sum); });
  }
  return true;
}

bool LogSoftmax(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1);
  const int64_t n = c.p[1];
  if (n <= SHORT) {
    ShortRows rows(n);
    rows.Each(x, c.p[0], [&](int64_t r, int64_t some, Vector largest, Vector sum) {
      float most[LANES], logs[LANES];
      Store(most, largest);
      Store(logs, LogOf(sum));
      for (int64_t k = 0, at = r * n; k < some; k++)
        for (int64_t i = 0; i < n; i++, at++) out[at] = x[at] - most[k] - logs[k];
    });
    return true;
  }
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += n) {
    rows.Begin(r);
    const float largest = rows.Largest(x);
    const float sum =
        static_cast<float>(rows.Sum([&](int64_t i) { return ExpOf(rows.Get(x, i, -INFINITY) - largest); }));
    const float log = LogOfOne(sum);
    rows.Each([&](int64_t i) { rows.Put(out, i, rows.Get(x, i, 0) - largest - log); });
  }
  return true;
}

// From the gradient of the result and the result.
bool SoftmaxGrad(const Call &c) {
  float *out = c.To<float>(0);
  const float *g = c.To<float>(1), *y = c.To<float>(2);
  const int64_t n = c.p[1];
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, g += n, y += n, out += n) {
    rows.Begin(r);
    const float sum = static_cast<float>(rows.Sum([&](int64_t i) { return rows.Get(g, i, 0) * rows.Get(y, i, 0); }));
    rows.Each([&](int64_t i) { rows.Put(out, i, (rows.Get(g, i, 0) - sum) * rows.Get(y, i, 0)); });
  }
  return true;
}

bool LogSoftmaxGrad(const Call &c) {
  float *out = c.To<float>(0);
  const float *g = c.To<float>(1), *y = c.To<float>(2);
  const int64_t n = c.p[1];
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, g += n, y += n, out += n) {
    rows.Begin(r);
    const float sum = static_cast<float>(rows.Sum([&](int64_t i) { return rows.Get(g, i, 0); }));
    rows.Each([&](int64_t i) { rows.Put(out, i, rows.Get(g, i, 0) - ExpOf(rows.Get(y, i, 0)) * sum); });
  }
  return true;
}

// The losses of rows and their gradients, from logits and labels.
bool CrossEntropy(const Call &c) {
  float *losses = c.To<float>(0), *out = c.To<float>(1);
  const float *x = c.To<float>(2);
  const int32_t *labels = c.To<int32_t>(3);
  const int64_t n = c.p[1];
  if (!AreInside(labels, c.p[0], n)) return false;
  if (n <= SHORT) {
    ShortRows rows(n);
    rows.Each(x, c.p[0], [&](int64_t r, int64_t some, Vector largest, Vector sum) {
      for (int64_t i = 0; i < n; i++) Store(rows.Column(i), Load(rows.Column(i)) / sum);
      rows.Write(out + r * n);
      float most[LANES], logs[LANES];
      Store(most, largest);
      Store(logs, LogOf(sum));
      for (int64_t k = 0; k < some; k++) {
        const int64_t at = (r + k) * n + labels[r + k];
        losses[r + k] = logs[k] - (x[at] - most[k]);
        out[at] -= 1.0f;
      }
    });
    return true;
  }
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += n) {
    rows.Begin(r);
    const float largest = rows.Largest(x);
    const float sum = static_cast<float>(rows.Sum([&](int64_t i) {
      const Vector y = ExpOf(rows.Get(x, i, -INFINITY) - largest);
      rows.Put(out, i, y);
      return y;
    }));
    rows.Each([&](int64_t i) { rows.Put(out, i, rows.Get(out, i, 0) / sum); });
    losses[r] = LogOfOne(sum) - (x[labels[r]] - largest);
    out[labels[r]] -= 1.0f;
  }
  return true;
}

// A vector for all rows, filled up to whole registers with 0; `otherwise` stands for one that isn't there.
inline const float *Filled(float *piece, const float *x, int64_t n, bool isThere, float otherwise) {
  std::fill_n(piece, (n + LANES - 1) / LANES * LANES, 0.0f);
  if (isThere) std::copy_n(x, n, piece);
  else std::fill_n(piece, n, otherwise);
  return piece;
}

// The result, x normalised, and 1 / √(variance + ε), from x, weight and bias. Parameters: rows, numbers in a row, ε, whether there are
// a weight and a bias.
bool LayerNorm(const Call &c) {
  float *out = c.To<float>(0), *unit = c.To<float>(1), *root = c.To<float>(2);
  const float *x = c.To<float>(3);
  const int64_t n = c.p[1], room = n + LANES;
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  float *scratch = Scratch(2 * room, 0);
  const float *weight = Filled(scratch, c.To<float>(4), n, c.p[3], 1), *bias = Filled(scratch + room, c.To<float>(5), n, c.p[4], 0);
  Rows rows(c.p[0], n);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, unit += n, out += n) {
    rows.Begin(r);
    // Distances from one of the numbers: the mean of equal ones is exact, so that none of them is far from it.
    const float one = x[0];
    const float mean = static_cast<float>(one + rows.Sum([&](int64_t i) { return rows.Get(x, i, one) - one; }) / n);
    const double squares = rows.Sum([&](int64_t i) {
      const Vector distance = rows.Get(x, i, mean) - mean;
      return distance * distance;
    });
    root[r] = static_cast<float>(1 / std::sqrt(squares / n + epsilon));
    rows.Each([&](int64_t i) {
      const Vector own = (rows.Get(x, i, mean) - mean) * root[r];
      rows.Put(unit, i, own);
      rows.Put(out, i, own * Load(weight + i) + Load(bias + i));
    });
  }
  return true;
}

// Gradients of x and, for each block of rows, of the weight: from the gradient of the result, x normalised, 1 / √(variance + ε) and
// the weight. Parameters: a range of blocks, rows of a block, rows, numbers in a row, whether there is a weight.
bool LayerNormGrad(const Call &c) {
  const int64_t first = c.p[0] * c.p[2], end = std::min(c.p[3], c.p[1] * c.p[2]), n = c.p[4], room = n + LANES;
  float *out = c.To<float>(0) + first * n, *weights = c.To<float>(1) + c.p[0] * n;
  const float *g = c.To<float>(2) + first * n, *unit = c.To<float>(3) + first * n, *root = c.To<float>(4) + first;
  float *scratch = Scratch(2 * room, 0), *sums = scratch + room;
  const float *weight = Filled(scratch, c.To<float>(5), n, c.p[5], 1);
  Rows rows(end - first, n);
  std::fill_n(sums, room, 0.0f);
  for (int64_t r = 0; r < end - first; r++, g += n, unit += n, out += n) {
    rows.Begin(r);
    const float mean = static_cast<float>(rows.Sum([&](int64_t i) { return rows.Get(g, i, 0) * Load(weight + i); }) / n);
    const float along =
        static_cast<float>(rows.Sum([&](int64_t i) { return rows.Get(g, i, 0) * Load(weight + i) * rows.Get(unit, i, 0); }) / n);
    rows.Each([&](int64_t i) {
      const Vector own = rows.Get(g, i, 0), x = rows.Get(unit, i, 0);
      rows.Put(out, i, (own * Load(weight + i) - mean - x * along) * root[r]);
      Store(sums + i, Load(sums + i) + own * x);
    });
    if ((r + 1) % c.p[2] != 0 && r + 1 < end - first) continue;
    std::copy_n(sums, n, weights);
    std::fill_n(sums, room, 0.0f);
    weights += n;
  }
  return true;
}
