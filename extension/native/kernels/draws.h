// Random numbers of MT19937, part of kernels.h: PyTorch's, bit for bit, as tensor/random has them in JavaScript. What rounds is
// computed in double precision, where products of floats are exact: fused multiplications and additions make no difference.

constexpr int STATE_WORDS = 624;
constexpr int STATE_SHIFT = 397;

inline uint32_t Twist(uint32_t upper, uint32_t lower) {
  return (((upper & 0x80000000u) | (lower & 0x7fffffffu)) >> 1) ^ ((0u - (lower & 1u)) & 0x9908b0dfu);
}

inline uint32_t Temper(uint32_t y) {
  y ^= y >> 11;
  y ^= (y << 7) & 0x9d2c5680u;
  y ^= (y << 15) & 0xefc60000u;
  return y ^ (y >> 18);
}

inline void NextBlock(uint32_t *words) {
  constexpr int REST = STATE_WORDS - STATE_SHIFT;
  for (int j = 0; j < REST; j++) words[j] = words[j + STATE_SHIFT] ^ Twist(words[j], words[j + 1]);
  for (int j = REST; j < STATE_WORDS - 1; j++) words[j] = words[j - REST] ^ Twist(words[j], words[j + 1]);
  words[STATE_WORDS - 1] = words[STATE_SHIFT - 1] ^ Twist(words[STATE_WORDS - 1], words[0]);
}

// Calls `use(words, count, place)` for the words of each block: untempered, as the state has them.
template <class Use>
void ForWords(uint32_t *words, int32_t &used, int64_t count, const Use &use) {
  for (int64_t done = 0; done < count;) {
    if (used == STATE_WORDS) {
      NextBlock(words);
      used = 0;
    }
    const int64_t step = std::min<int64_t>(count - done, STATE_WORDS - used);
    use(words + used, step, done);
    used += static_cast<int32_t>(step);
    done += step;
  }
}

inline void DrawWords(uint32_t *words, int32_t &used, uint32_t *out, int64_t count) {
  ForWords(words, used, count, [out](const uint32_t *block, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; i++) out[at + i] = Temper(block[i]);
  });
}

// Words modulo a number, plus another. Quotients by doubles are off by one at most.
inline void DrawIntegers(uint32_t *words, int32_t &used, int32_t *out, int64_t count, double modulus, double low) {
  const double inverse = 1 / modulus;
  ForWords(words, used, count, [=](const uint32_t *block, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; i++) {
      const double word = Temper(block[i]);
      double rest = word - std::floor(word * inverse) * modulus;
      rest = rest < 0 ? rest + modulus : rest;
      rest = rest < modulus ? rest : rest - modulus;
      out[at + i] = static_cast<int32_t>(rest + low);
    }
  });
}

// Whether the 53 bits of two words are below high · 2^32 + low.
inline bool IsBelow(uint32_t first, uint32_t second, uint32_t high, uint32_t low) {
  const uint32_t word = Temper(first) & 0x1fffffu;
  return (word < high) | ((word == high) & (Temper(second) < low));
}

inline void DrawDecisions(uint32_t *words, int32_t &used, float *out, int64_t count, uint32_t high, uint32_t low, float one) {
  for (int64_t done = 0; done < count;) {
    if (used == STATE_WORDS) {
      NextBlock(words);
      used = 0;
    }
    const int64_t pairs = std::min<int64_t>(count - done, (STATE_WORDS - used) / 2);
    const uint32_t *block = words + used;
    float *to = out + done;
    for (int64_t i = 0; i < pairs; i++) to[i] = IsBelow(block[2 * i], block[2 * i + 1], high, low) ? one : 0.0f;
    used += static_cast<int32_t>(2 * pairs);
    done += pairs;
    if (done == count || used == STATE_WORDS) continue;
    // The pair that lies across two blocks.
    const uint32_t first = words[used];
    NextBlock(words);
    out[done++] = IsBelow(first, words[0], high, low) ? one : 0.0f;
    used = 1;
  }
}

inline void DrawUniform(uint32_t *words, int32_t &used, float *out, int64_t count, double scale, double low, float high) {
  const float least = static_cast<float>(low);
  ForWords(words, used, count, [=](const uint32_t *block, int64_t n, int64_t at) {
    for (int64_t i = 0; i < n; i++) {
      const int32_t bits = static_cast<int32_t>(Temper(block[i]) & 0xffffffu);
      const float value = static_cast<float>(bits * scale + low);
      out[at + i] = value == high ? least : value;
    }
  });
}

// Turns 16 words into normal numbers: see boxMuller.ts, of which this is a copy.
inline void BoxMuller(const uint32_t *words, float *out, double mean, double deviation) {
  const auto rounded = [](double x) { return static_cast<double>(static_cast<float>(x)); };
  for (int j = 0; j < 8; j++) {
    const int32_t m = 0x1000000 - static_cast<int32_t>(words[j] & 0xffffffu);
    // m / 2^24 = 2^exponent · (1 + x) with √½ <= 1 + x < √2.
    const int32_t bits = ToBits(static_cast<float>(m));
    const float half = FromBits((bits & 0x007fffff) | 0x3f000000);
    const bool below = half < 0.707106781186547524f;
    const double exponent = (bits >> 23) - 126 - 24 - (below ? 1 : 0);
    const double x = static_cast<double>(half) * (below ? 2.0 : 1.0) - 1.0;
    const double z = rounded(x * x);
    double y = rounded(static_cast<double>(7.0376836292e-2f) * x + static_cast<double>(-1.151461031e-1f));
    y = rounded(y * x + static_cast<double>(1.167699874e-1f));
    y = rounded(y * x + static_cast<double>(-1.2420140846e-1f));
    y = rounded(y * x + static_cast<double>(1.4249322787e-1f));
    y = rounded(y * x + static_cast<double>(-1.6668057665e-1f));
    y = rounded(y * x + static_cast<double>(2.0000714765e-1f));
    y = rounded(y * x + static_cast<double>(-2.4999993993e-1f));
    y = rounded(y * x + static_cast<double>(3.3333331174e-1f));
    y = rounded(rounded(y * x) * z + rounded(exponent * static_cast<double>(-2.1219444e-4f)));
    y = rounded(y - z * 0.5);
    const double log = rounded(exponent * 0.693359375 + rounded(x + y));
    const double radius = static_cast<double>(std::sqrt(static_cast<float>(-2.0 * log)));

    const double turn = static_cast<int32_t>(words[j + 8] & 0xffffffu) * (1.0 / 16777216.0);
    const double angle = rounded(static_cast<double>(6.283185307179586f) * turn);
    // Octant of the angle, rounded up to even, and what is left of the angle.
    const int32_t octant = (static_cast<int32_t>(static_cast<float>(angle * static_cast<double>(1.2732395447351628f))) + 1) & ~1;
    double left = rounded(angle - octant * 0.78515625);
    left = rounded(left - octant * 2.4187564849853515625e-4);
    left = rounded(left - octant * static_cast<double>(3.774894977445941e-8f));
    const double s2 = rounded(left * left);
    double c = rounded(static_cast<double>(2.443315711809948e-5f) * s2 + static_cast<double>(-1.388731625493765e-3f));
    c = rounded(c * s2 + static_cast<double>(4.166664568298827e-2f));
    c = rounded(rounded(rounded(c * s2) * s2 - s2 * 0.5) + 1.0);
    double s = rounded(static_cast<double>(-1.9515295891e-4f) * s2 + static_cast<double>(8.3321608736e-3f));
    s = rounded(s * s2 + static_cast<double>(-1.6666654611e-1f));
    s = rounded(rounded(s * s2) * left + left);
    const bool swapped = octant >> 1 & 1, negative = octant >> 2 & 1;
    const double cosine = (swapped ? s : c) * (swapped != negative ? -1.0 : 1.0);
    const double sine = (swapped ? c : s) * (negative ? -1.0 : 1.0);
    out[j] = static_cast<float>(rounded(radius * cosine) * deviation + mean);
    out[j + 8] = static_cast<float>(rounded(radius * sine) * deviation + mean);
  }
}

inline void DrawNormal(uint32_t *words, int32_t &used, float *out, int64_t count, double mean, double deviation) {
  constexpr int64_t CHUNK = 1024;
  uint32_t drawn[CHUNK];
  for (int64_t done = 0; done < count; done += CHUNK) {
    const int64_t n = std::min(CHUNK, count - done);
    DrawWords(words, used, drawn, n);
    for (int64_t i = 0; i < n; i += 16) BoxMuller(drawn + i, out + done + i, mean, deviation);
  }
}

// Draws numbers of a kind, with its parameters, and returns how many words of the block are used then.
int32_t Draw(DrawKind kind, uint32_t *words, int32_t used, void *out, int64_t count, const double *p) {
  float *floats = static_cast<float *>(out);
  switch (kind) {
    case DrawKind::Skip:
      ForWords(words, used, count, [](const uint32_t *, int64_t, int64_t) {});
      break;
    case DrawKind::Words:
      DrawWords(words, used, static_cast<uint32_t *>(out), count);
      break;
    case DrawKind::Decisions:
      DrawDecisions(words, used, floats, count, static_cast<uint32_t>(p[0]), static_cast<uint32_t>(p[1]), static_cast<float>(p[2]));
      break;
    case DrawKind::Uniform:
      DrawUniform(words, used, floats, count, p[0], p[1], static_cast<float>(p[2]));
      break;
    case DrawKind::Normal:
      DrawNormal(words, used, floats, count, p[0], p[1]);
      break;
    case DrawKind::Integers:
      DrawIntegers(words, used, static_cast<int32_t *>(out), count, p[0], p[1]);
      break;
  }
  return used;
}
