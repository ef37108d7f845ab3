// Recurrent layers, part of kernels.h: all steps of sequences at once. Sequences don't depend on each other, so each thread has its own and
// waits for none. The matrix of the recurrence is copied once for all steps.

// Parameters: the range of the columns, rows, columns, whether columns lie in memory. Columns are copied as panels of TILE_COLUMNS.
bool PackPanels(const Call &c) {
  const int64_t from = c.p[0], depth = c.p[2], columns = c.p[3];
  const Right right{c.To<float>(1), depth, columns, c.p[4] != 0};
  right.Pack(0, depth, from, std::min(columns, c.p[1]), c.To<float>(0) + from * depth, depth * TILE_COLUMNS);
  return true;
}

// Steps of sequences that are sorted by length, the longest first: rows of a step come after those of the step before. Parameters: the
// range of the sequences, numbers of a state, runs of steps that have the same sequences: of each the steps and the sequences.
struct Walk {
  const int64_t from, to, hidden, runs;
  const int64_t *const run;

  explicit Walk(const int64_t *p) : from(p[0]), to(p[1]), hidden(p[2]), runs(p[3]), run(p + 4) {}

  // Calls step(first row, first row of the step before or -1, end of the sequences in it), and end(first row, range of sequences) for those
  // whose last step it was.
  template <class Step, class End>
  void Forward(Step step, End end) const {
    int64_t at = 0, before = -1;
    for (int64_t k = 0; k < runs; k++) {
      const int64_t sequences = run[2 * k + 1];
      for (int64_t i = 0; i < run[2 * k]; i++, before = at, at += sequences) step(at, before, std::min(to, sequences));
      end(before, std::max(from, k + 1 < runs ? run[2 * k + 3] : 0), std::min(to, sequences));
    }
  }

  // The same from the last step to the first.
  template <class Step>
  void Backward(Step step) const {
    int64_t at = 0;
    for (int64_t k = 0; k < runs; k++) at += run[2 * k] * run[2 * k + 1];
    for (int64_t k = runs - 1; k >= 0; k--) {
      const int64_t sequences = run[2 * k + 1];
      for (int64_t i = run[2 * k] - 1; i >= 0; i--) {
        at -= sequences;
        step(at, i > 0 ? at - sequences : k > 0 ? at - run[2 * k - 1] : -1, std::min(to, sequences));
      }
    }
  }
};

// Some rows times a matrix of panels.
struct Panels {
  const float *at;
  int64_t depth, columns;

  int64_t Width() const { return RoundUp(columns, TILE_COLUMNS); }

  // Rows of a tile, so that all tiles of so many rows are about as high.
  static int64_t Height(int64_t rows) {
    const int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS;
    return std::min(rows, RoundUp((rows + tiles - 1) / tiles, THIRD));
  }

  // `out` has TILE_ROWS rows.
  void Multiply(const float *const *rows, int64_t count, float *out) const {
    const float *read[TILE_ROWS];
    float *written[TILE_ROWS];
    for (int64_t r = 0; r < TILE_ROWS; r++) {
      read[r] = rows[std::min(r, count - 1)];
      written[r] = out + r * Width();
    }
    for (int64_t j = 0; j < columns; j += TILE_COLUMNS)
      for (int64_t from = 0; from < depth; from += TERMS) {
        const int64_t terms = std::min(TERMS, depth - from);
        const Run run{terms, from + terms, read};
        const Runs source{&run, &run + 1};
        const float *panel = at + j * depth + from * TILE_COLUMNS;
        if (count == 1) source.Compute<1, 2>(panel, {written, j}, from > 0);
        else AnyTile<2>(count, source, panel, {written, j}, from > 0);
      }
  }
};

// ---- Cells: functions of one row ----

// (i, f, g, o) = (σ, σ, tanh, σ)(x + W h), c' = f c + i g, h' = o tanh(c').
struct LstmCell {
  static constexpr int64_t GATES = 4;

  struct Forward {
    static constexpr int END = 1, PANELS = 9, H = 11;
    float *y, *i, *f, *g, *o, *c, *t, *endC;
    const float *x, *c0;

    explicit Forward(const Call &call)
        : y(call.To<float>(0)), i(call.To<float>(3)), f(call.To<float>(4)), g(call.To<float>(5)), o(call.To<float>(6)), c(call.To<float>(7)),
          t(call.To<float>(8)), endC(call.To<float>(2)), x(call.To<float>(10)), c0(call.To<float>(12)) {}

    void Step(int64_t n, int64_t row, int64_t before, int64_t sequence, const float *pre, const float *) const {
      Gates(n, pre, x + 4 * n * row, i + n * row, f + n * row, g + n * row, o + n * row);
      Cell(n, i + n * row, f + n * row, g + n * row, o + n * row, before < 0 ? c0 + n * sequence : c + n * before, c + n * row, t + n * row,
           y + n * row);
    }
    void End(int64_t n, int64_t row, int64_t sequence) const { std::copy_n(c + n * row, n, endC + n * sequence); }

   private:
    static void Gates(int64_t n, const float *__restrict pre, const float *__restrict x, float *__restrict i, float *__restrict f,
                      float *__restrict g, float *__restrict o) {
      for (int64_t j = 0; j < n; j++) i[j] = SigmoidF::Of(x[j] + pre[j]);
      for (int64_t j = 0; j < n; j++) f[j] = SigmoidF::Of(x[n + j] + pre[n + j]);
      for (int64_t j = 0; j < n; j++) g[j] = TanhF::Of(x[2 * n + j] + pre[2 * n + j]);
      for (int64_t j = 0; j < n; j++) o[j] = SigmoidF::Of(x[3 * n + j] + pre[3 * n + j]);
    }
    static void Cell(int64_t n, const float *__restrict i, const float *__restrict f, const float *__restrict g, const float *__restrict o,
                     const float *__restrict before, float *__restrict c, float *__restrict t, float *__restrict y) {
      for (int64_t j = 0; j < n; j++) {
        c[j] = f[j] * before[j] + i[j] * g[j];
        t[j] = TanhF::Of(c[j]);
        y[j] = o[j] * t[j];
      }
    }
  };

  struct Backward {
    static constexpr int GRAD_H = 11, PANELS = 3;
    static constexpr bool ADDS = false;
    float *d, *dc;
    const float *i, *f, *g, *o, *t, *c0, *c, *gradY, *gradC;

    explicit Backward(const Call &call)
        : d(call.To<float>(0)), dc(call.To<float>(2)), i(call.To<float>(4)), f(call.To<float>(5)), g(call.To<float>(6)), o(call.To<float>(7)),
          t(call.To<float>(8)), c0(call.To<float>(9)), c(call.To<float>(10)), gradY(call.To<float>(12)), gradC(call.To<float>(13)) {}

    void Begin(int64_t n, int64_t from, int64_t to) const { std::copy_n(gradC + n * from, n * (to - from), dc + n * from); }
    void Step(int64_t n, int64_t row, int64_t before, int64_t sequence, float *dh) const {
      const int64_t at = n * row;
      Gates(n, dh, gradY + at, i + at, f + at, g + at, o + at, t + at, before < 0 ? c0 + n * sequence : c + n * before, dc + n * sequence,
            d + 4 * at);
    }

   private:
    static void Gates(int64_t n, const float *__restrict dh, const float *__restrict gradY, const float *__restrict i, const float *__restrict f,
                      const float *__restrict g, const float *__restrict o, const float *__restrict t, const float *__restrict before,
                      float *__restrict dc, float *__restrict d) {
      for (int64_t j = 0; j < n; j++) {
        const float total = dh[j] + gradY[j];
        const float cell = dc[j] + total * o[j] * (1.0f - t[j] * t[j]);
        d[j] = cell * g[j] * (i[j] * (1.0f - i[j]));
        d[n + j] = cell * before[j] * (f[j] * (1.0f - f[j]));
        d[2 * n + j] = cell * i[j] * (1.0f - g[j] * g[j]);
        d[3 * n + j] = total * t[j] * (o[j] * (1.0f - o[j]));
        dc[j] = cell * f[j];
      }
    }
  };
};

// (p, q, s) = W h + b, r = σ(x₁ + p), z = σ(x₂ + q), n = tanh(x₃ + r s), h' = n + z (h − n).
struct GruCell {
  static constexpr int64_t GATES = 3;

  struct Forward {
    static constexpr int END = 1, PANELS = 6, H = 8;
    float *y, *r, *z, *n, *s;
    const float *x, *b;

    explicit Forward(const Call &call)
        : y(call.To<float>(0)), r(call.To<float>(2)), z(call.To<float>(3)), n(call.To<float>(4)), s(call.To<float>(5)), x(call.To<float>(7)),
          b(call.To<float>(9)) {}

    void Step(int64_t size, int64_t row, int64_t, int64_t, const float *pre, const float *h) const {
      const int64_t at = size * row;
      Row(size, pre, x + 3 * at, b, h, r + at, z + at, n + at, s + at, y + at);
    }
    void End(int64_t, int64_t, int64_t) const {}

   private:
    static void Row(int64_t size, const float *__restrict pre, const float *__restrict x, const float *__restrict b, const float *__restrict h,
                    float *__restrict r, float *__restrict z, float *__restrict n, float *__restrict s, float *__restrict y) {
      for (int64_t j = 0; j < size; j++) r[j] = SigmoidF::Of(x[j] + (pre[j] + b[j]));
      for (int64_t j = 0; j < size; j++) z[j] = SigmoidF::Of(x[size + j] + (pre[size + j] + b[size + j]));
      for (int64_t j = 0; j < size; j++) {
        s[j] = pre[2 * size + j] + b[2 * size + j];
        n[j] = TanhF::Of(x[2 * size + j] + r[j] * s[j]);
        y[j] = n[j] + z[j] * (h[j] - n[j]);
      }
    }
  };

  struct Backward {
    static constexpr int GRAD_H = 10, PANELS = 3;
    static constexpr bool ADDS = true;
    float *d, *dn;
    const float *h0, *y, *r, *z, *n, *s, *gradY;

    explicit Backward(const Call &call)
        : d(call.To<float>(0)), dn(call.To<float>(2)), h0(call.To<float>(4)), y(call.To<float>(5)), r(call.To<float>(6)), z(call.To<float>(7)),
          n(call.To<float>(8)), s(call.To<float>(9)), gradY(call.To<float>(11)) {}

    void Begin(int64_t, int64_t, int64_t) const {}
    void Step(int64_t size, int64_t row, int64_t before, int64_t sequence, float *dh) const {
      const int64_t at = size * row;
      Row(size, before < 0 ? h0 + size * sequence : y + size * before, gradY + at, r + at, z + at, n + at, s + at, dh, d + 3 * at, dn + at);
    }

   private:
    static void Row(int64_t size, const float *__restrict h, const float *__restrict gradY, const float *__restrict r, const float *__restrict z,
                    const float *__restrict n, const float *__restrict s, float *__restrict dh, float *__restrict d, float *__restrict dn) {
      for (int64_t j = 0; j < size; j++) {
        const float total = dh[j] + gradY[j], kept = total * z[j];
        dn[j] = (total - kept) * (1.0f - n[j] * n[j]);
        d[j] = dn[j] * s[j] * (r[j] * (1.0f - r[j]));
        d[size + j] = total * (h[j] - n[j]) * (z[j] * (1.0f - z[j]));
        d[2 * size + j] = dn[j] * r[j];
        dh[j] = kept;
      }
    }
  };
};

// h' = φ(x + W h), where φ is tanh or ReLU.
template <bool RELU>
struct RnnCell {
  static constexpr int64_t GATES = 1;

  struct Forward {
    static constexpr int END = 1, PANELS = 2, H = 4;
    float *y;
    const float *x;

    explicit Forward(const Call &call) : y(call.To<float>(0)), x(call.To<float>(3)) {}

    void Step(int64_t n, int64_t row, int64_t, int64_t, const float *pre, const float *) const { Row(n, pre, x + n * row, y + n * row); }
    void End(int64_t, int64_t, int64_t) const {}

   private:
    static void Row(int64_t n, const float *__restrict pre, const float *__restrict x, float *__restrict y) {
      for (int64_t j = 0; j < n; j++) y[j] = RELU ? ReluF::Of(x[j] + pre[j]) : TanhF::Of(x[j] + pre[j]);
    }
  };

  struct Backward {
    static constexpr int GRAD_H = 4, PANELS = 2;
    static constexpr bool ADDS = false;
    float *d;
    const float *y, *gradY;

    explicit Backward(const Call &call) : d(call.To<float>(0)), y(call.To<float>(3)), gradY(call.To<float>(5)) {}

    void Begin(int64_t, int64_t, int64_t) const {}
    void Step(int64_t n, int64_t row, int64_t, int64_t, float *dh) const { Row(n, dh, gradY + n * row, y + n * row, d + n * row); }

   private:
    static void Row(int64_t n, const float *__restrict dh, const float *__restrict gradY, const float *__restrict y, float *__restrict d) {
      for (int64_t j = 0; j < n; j++) {
        const float total = dh[j] + gradY[j];
        d[j] = RELU ? (y[j] > 0 ? total : 0.0f) : total * (1.0f - y[j] * y[j]);
      }
    }
  };
};

// ---- All steps ----

// Parameters: see Walk. Operands: h of every row, at the end of each sequence, what the cell has besides; panels, x, h at the beginning, and more.
template <class Cell>
bool SequenceForward(const Call &c) {
  const Walk walk(c.p);
  const typename Cell::Forward cell(c);
  const int64_t n = walk.hidden;
  const Panels panels{c.To<float>(Cell::Forward::PANELS), n, Cell::GATES * n};
  const float *const h0 = c.To<float>(Cell::Forward::H);
  float *const end = c.To<float>(Cell::Forward::END);
  float *const pre = Scratch(TILE_ROWS * panels.Width(), 0);
  walk.Forward(
      [&](int64_t at, int64_t before, int64_t to) {
        const int64_t height = Panels::Height(std::max<int64_t>(1, to - walk.from));
        for (int64_t i = walk.from; i < to; i += height) {
          const int64_t rows = std::min(height, to - i);
          const float *h[TILE_ROWS];
          for (int64_t r = 0; r < rows; r++) h[r] = before < 0 ? h0 + (i + r) * n : cell.y + (before + i + r) * n;
          panels.Multiply(h, rows, pre);
          for (int64_t r = 0; r < rows; r++) cell.Step(n, at + i + r, before < 0 ? -1 : before + i + r, i + r, pre + r * panels.Width(), h[r]);
        }
      },
      [&](int64_t at, int64_t from, int64_t to) {
        for (int64_t i = from; i < to; i++) {
          std::copy_n(cell.y + (at + i) * n, n, end + i * n);
          cell.End(n, at + i, i);
        }
      });
  return true;
}

// Operands: the gradient of the gates of every row, that of h at the beginning of each sequence, and more; panels, and what the cell has besides.
template <class Cell>
bool SequenceBackward(const Call &c) {
  const Walk walk(c.p);
  const typename Cell::Backward cell(c);
  const int64_t n = walk.hidden, wide = Cell::GATES * n;
  const Panels panels{c.To<float>(Cell::Backward::PANELS), wide, n};
  float *const dh = c.To<float>(1);
  float *const product = Scratch(TILE_ROWS * panels.Width(), 0);
  std::copy_n(c.To<float>(Cell::Backward::GRAD_H) + n * walk.from, n * (walk.to - walk.from), dh + n * walk.from);
  cell.Begin(n, walk.from, walk.to);
  walk.Backward([&](int64_t at, int64_t before, int64_t to) {
    const int64_t height = Panels::Height(std::max<int64_t>(1, to - walk.from));
    for (int64_t i = walk.from; i < to; i += height) {
      const int64_t rows = std::min(height, to - i);
      const float *d[TILE_ROWS];
      for (int64_t r = 0; r < rows; r++) {
        cell.Step(n, at + i + r, before < 0 ? -1 : before + i + r, i + r, dh + (i + r) * n);
        d[r] = cell.d + (at + i + r) * wide;
      }
      panels.Multiply(d, rows, product);
      for (int64_t r = 0; r < rows; r++) {
        float *const sum = dh + (i + r) * n;
        const float *const from = product + r * panels.Width();
        for (int64_t j = 0; j < n; j++) sum[j] = Cell::Backward::ADDS ? sum[j] + from[j] : from[j];
      }
    }
  });
  return true;
}
