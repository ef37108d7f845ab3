// Connectionist temporal classification (Graves et al. 2006), section 4.1. Included by kernels.h.

// Sums of probabilities of paths, as logarithms less `scale`, of each state at one time: labels with a blank between them, before the first
// and after the last. What lies beyond the states is impossible.
struct CtcTime {
  float *sums;
  double scale;
};

// The logarithm of the sum of three probabilities, given as logarithms.
inline float LogSumOf(float a, float b, float c) {
  const float ab = a > b ? a : b;
  const float largest = ab > c ? ab : c;
  const float from = largest == -INFINITY ? 0.0f : largest;
  return from + LogOf(ExpOf(a - from) + ExpOf(b - from) + ExpOf(c - from));
}

// Subtracts the largest of some logarithms from all, so that those that count are exact. False if all are -∞.
inline bool Rescale(CtcTime &time, int64_t states) {
  float largest = -INFINITY;
  bool known = true;
  for (int64_t s = 0; s < states; s++) {
    largest = time.sums[s] > largest ? time.sums[s] : largest;
    known = known && time.sums[s] == time.sums[s];
  }
  if (!known) largest = NAN;
  if (largest == -INFINITY) return false;
  for (int64_t s = 0; s < states; s++) time.sums[s] -= largest;
  time.scale += largest;
  return true;
}

// One row's losses. Its log-probabilities of time t begin at x + t · stride, as do its gradients.
class CtcRow {
 public:
  CtcRow(const int32_t *labels, int64_t length, int64_t time, int32_t blank) : states_(2 * length + 1), time_(time) {
    // Before the states are two that are impossible, after them two more.
    room_ = states_ + 4;
    float *memory = Scratch((time_ + 4) * room_, 0);
    std::fill_n(memory, (time_ + 4) * room_, -INFINITY);
    const auto list = [&](int64_t i) { return memory + i * room_ + 2; };
    skips_ = list(0), emitted_ = list(1), beta_ = list(2), other_ = list(3), alpha_ = list(4);
    classes_.assign(states_, blank);
    for (int64_t i = 0; i < length; i++) {
      classes_[2 * i + 1] = labels[i];
      // A path may leave out the blank between two labels that differ.
      if (i > 0 && labels[i] != labels[i - 1]) skips_[2 * i + 1] = 0;
    }
  }

  // −ln of the probability of all paths; ∞ if there is none.
  double Forward(const float *x, int64_t stride) {
    if (time_ == 0) return states_ == 1 ? 0 : INFINITY;
    CtcTime now{alpha_, 0};
    for (int64_t s = 0; s < std::min<int64_t>(2, states_); s++) now.sums[s] = x[classes_[s]];
    if (!Rescale(now, states_)) return INFINITY;
    for (int64_t t = 1; t < time_; t++) {
      const float *before = now.sums;
      now.sums += room_;
      Emit(x + t * stride);
      float *out = now.sums;
      SAME_INDEX
      for (int64_t s = 0; s < states_; s++)
        out[s] = LogSumOf(before[s], before[s - 1], before[s - 2] + skips_[s]) + emitted_[s];
      if (!Rescale(now, states_)) return INFINITY;
    }
    const float last = now.sums[states_ - 1];
    return -(now.scale + LogSumOf(last, now.sums[states_ - 2], -INFINITY));
  }

  // Subtracts each time's probability of each class, given the labels, from the gradients.
  void Backward(const float *x, int64_t stride, float *gradient) {
    CtcTime now{beta_, 0};
    float *other = other_;
    for (int64_t t = time_ - 1; t >= 0; t--) {
      float *out = now.sums;
      if (t == time_ - 1) {
        for (int64_t s = std::max<int64_t>(0, states_ - 2); s < states_; s++) out[s] = 0;
      } else {
        std::swap(now.sums, other);
        out = now.sums;
        SAME_INDEX
        for (int64_t s = 0; s < states_; s++) out[s] = LogSumOf(other[s], other[s + 1], other[s + 2] + skips_[s + 2]);
        Rescale(now, states_);
      }
      Subtract(alpha_ + t * room_, out, gradient + t * stride);
      if (t == 0) return;
      Emit(x + t * stride);
      SAME_INDEX
      for (int64_t s = 0; s < states_; s++) out[s] += emitted_[s];
    }
  }

 private:
  // The log-probabilities of the states' classes.
  void Emit(const float *x) {
    for (int64_t s = 0; s < states_; s++) emitted_[s] = x[classes_[s]];
  }

  // The probabilities of the states at one time add up to 1.
  void Subtract(const float *alpha, const float *beta, float *gradient) {
    float largest = -INFINITY;
    for (int64_t s = 0; s < states_; s++) {
      const float both = alpha[s] + beta[s];
      largest = both > largest ? both : largest;
    }
    SAME_INDEX
    for (int64_t s = 0; s < states_; s++) emitted_[s] = ExpOf(alpha[s] + beta[s] - largest);
    double sum = 0;
    for (int64_t s = 0; s < states_; s++) sum += emitted_[s];
    for (int64_t s = 0; s < states_; s++) gradient[classes_[s]] -= static_cast<float>(emitted_[s] / sum);
  }

  int64_t states_, time_, room_;
  float *skips_, *emitted_, *beta_, *other_, *alpha_;
  std::vector<int32_t> classes_;
};

// Losses of rows and their gradients, from log-probabilities [time, row, class], labels [row, label], and lengths of both. Parameters: rows,
// all rows, times, classes, labels, the blank, whether rows without a path cost nothing.
bool CtcLoss(const Call &c) {
  float *losses = c.To<float>(0), *out = c.To<float>(1);
  const float *x = c.To<float>(2);
  const int32_t *labels = c.To<int32_t>(3), *times = c.To<int32_t>(4), *lengths = c.To<int32_t>(5);
  const int64_t most = c.p[2], classes = c.p[3], width = c.p[4], stride = c.p[1] * classes;
  const int32_t blank = static_cast<int32_t>(c.p[5]);
  const bool none = c.p[6];
  for (int64_t r = 0; r < c.p[0]; r++, x += classes, out += classes, labels += width) {
    const int64_t time = std::min<int64_t>(times[r], most), length = lengths[r];
    if (time < 0 || length < 0 || length > width) return false;
    for (int64_t i = 0; i < length; i++)
      if (labels[i] < 0 || labels[i] >= classes) return false;
    CtcRow row(labels, length, time, blank);
    const double loss = row.Forward(x, stride);
    const bool impossible = loss == INFINITY;
    losses[r] = impossible && none ? 0.0f : static_cast<float>(loss);
    for (int64_t t = 0; t < most; t++) {
      float *own = out + t * stride;
      const float *from = x + t * stride;
      if (t >= time) std::fill_n(own, classes, 0.0f);
      else if (impossible) std::fill_n(own, classes, none ? 0.0f : NAN);
      else {
        SAME_INDEX
        for (int64_t i = 0; i < classes; i++) own[i] = ExpOf(from[i]);
      }
    }
    if (!impossible) row.Backward(x, stride, out);
  }
  return true;
}
