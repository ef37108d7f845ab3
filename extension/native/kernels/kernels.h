// Kernels for small tensors, on the calling thread. A file for each instruction set includes this one, each in another namespace:
// the compiler vectorizes it for that set. LANES floats fit into one register.

typedef float Vector __attribute__((vector_size(LANES * 4), aligned(4), may_alias));

inline Vector Load(const float *p) { return *reinterpret_cast<const Vector *>(p); }
inline void Store(float *p, Vector v) { *reinterpret_cast<Vector *>(p) = v; }
// Subtracting 0 changes no number, so it is left out; adding 0 would make 0 of -0, and cost an addition.
inline Vector Splat(float x) { return x - Vector{}; }
inline float SumLanes(Vector v) {
  float parts[LANES];
  Store(parts, v);
  for (int width = LANES / 2; width > 0; width /= 2)
    for (int i = 0; i < width; i++) parts[i] += parts[i + width];
  return parts[0];
}

// Reads numbers of a tensor, and those that follow them: a register's numbers beyond a row belong to no result.
struct Floats {
  const float *end;

  Vector Read(const float *from) const {
    if (end - from >= LANES) return Load(from);
    float all[LANES] = {};
    for (int l = 0; from + l < end; l++) all[l] = from[l];
    return Load(all);
  }
};

// Stores the first numbers of a register.
inline void StoreSome(float *to, Vector v, int64_t count) {
  if (count == LANES) return Store(to, v);
#if LANES == 16
  _mm512_mask_storeu_ps(to, static_cast<__mmask16>((1u << count) - 1), reinterpret_cast<__m512>(v));
#else
  float all[LANES];
  Store(all, v);
  for (int64_t l = 0; l < count; l++) to[l] = all[l];
#endif
}

#include "unary.h"

// ---- A step of an optimizer ----

// Operands: the new p, m and v, the old ones, the gradient; of one number each the step size, the correction of the root, the
// share that m moves by, and what p shrinks by if the last parameter isn't 0. Parameters: how many; beta2, 1 - beta2, epsilon.
bool AdamStep(const Call &c) {
  float *p2 = c.To<float>(0), *m2 = c.To<float>(1), *v2 = c.To<float>(2);
  const float *p = c.To<float>(3), *m = c.To<float>(4), *v = c.To<float>(5), *g = c.To<float>(6);
  const float step = *c.To<float>(7), correction = *c.To<float>(8), share = *c.To<float>(9);
  const float kept = c.p[4] != 0 ? *c.To<float>(10) : 1.0f;
  const float beta2 = FromBits(static_cast<int32_t>(c.p[1])), rest = FromBits(static_cast<int32_t>(c.p[2]));
  const float epsilon = FromBits(static_cast<int32_t>(c.p[3]));
  const int64_t n = c.p[0];
  SAME_INDEX
  for (int64_t i = 0; i < n; i++) {
    const float mean = m[i] + (g[i] - m[i]) * share;
    const float square = v[i] * beta2 + (g[i] * g[i]) * rest;
    m2[i] = mean;
    v2[i] = square;
    p2[i] = p[i] * kept - mean / (std::sqrt(square) / correction + epsilon) * step;
  }
  return true;
}

// ---- Functions of two numbers, with broadcasting ----

#define BINARY(Name, Type, Result, expression)                  \
  struct Name {                                                 \
    static Result Of(Type a, Type b) { return expression; }     \
  };
BINARY(AddF, float, float, a + b)
BINARY(SubF, float, float, a - b)
BINARY(MulF, float, float, a *b)
BINARY(DivF, float, float, a / b)
BINARY(MaxF, float, float, a != a ? a : b != b ? b : a > b ? a : b)
BINARY(MinF, float, float, a != a ? a : b != b ? b : a < b ? a : b)
BINARY(PowF, float, float, std::pow(a, b))
BINARY(SquaredDifferenceF, float, float, (a - b) * (a - b))
BINARY(CopysignF, float, float, std::copysign(a, b))
BINARY(FloorDivF, float, float, std::floor(a / b))
BINARY(ReluGradF, float, float, b <= 0 ? 0.0f : a)
BINARY(TanhGradF, float, float, b *(1.0f - a * a))
BINARY(SigmoidGradF, float, float, b *(a * (1.0f - a)))
BINARY(GeluGradF, float, float, a *GeluSlope(b))
BINARY(GeluTanhGradF, float, float, a *GeluTanhSlope(b))
BINARY(SiluGradF, float, float, a *SiluSlope(b))
BINARY(AddI, int32_t, int32_t, Plus(a, b))
BINARY(SubI, int32_t, int32_t, Minus(a, b))
BINARY(MulI, int32_t, int32_t, Times(a, b))
BINARY(MaxI, int32_t, int32_t, a > b ? a : b)
BINARY(MinI, int32_t, int32_t, a < b ? a : b)
BINARY(BitwiseAndI, int32_t, int32_t, a &b)
BINARY(BitwiseOrI, int32_t, int32_t, a | b)
BINARY(BitwiseXorI, int32_t, int32_t, a ^ b)
// TensorFlow shifts by at most 31 places, and not by less than none.
BINARY(LeftShiftI, int32_t, int32_t, static_cast<int32_t>(static_cast<uint32_t>(a) << std::clamp(b, 0, 31)))
BINARY(RightShiftI, int32_t, int32_t, a >> std::clamp(b, 0, 31))
BINARY(LessF, float, uint8_t, a < b)
BINARY(LessEqualF, float, uint8_t, a <= b)
BINARY(GreaterF, float, uint8_t, a > b)
BINARY(GreaterEqualF, float, uint8_t, a >= b)
BINARY(EqualF, float, uint8_t, a == b)
BINARY(NotEqualF, float, uint8_t, a != b)
BINARY(LessI, int32_t, uint8_t, a < b)
BINARY(LessEqualI, int32_t, uint8_t, a <= b)
BINARY(GreaterI, int32_t, uint8_t, a > b)
BINARY(GreaterEqualI, int32_t, uint8_t, a >= b)
BINARY(EqualI, int32_t, uint8_t, a == b)
BINARY(NotEqualI, int32_t, uint8_t, a != b)
BINARY(EqualB, uint8_t, uint8_t, a == b)
BINARY(NotEqualB, uint8_t, uint8_t, a != b)
BINARY(AndB, uint8_t, uint8_t, a &b)
BINARY(OrB, uint8_t, uint8_t, a | b)
#undef BINARY

// Parameters: dimensions, sizes, strides of the two.
template <class F, class I, class O>
bool Binary(const Call &c) {
  O *out = c.To<O>(0);
  const I *first = c.To<I>(1);
  const I *second = c.To<I>(2);
  const int64_t rank = c.p[0];
  const int64_t *sizes = c.p + 1;
  const int64_t *strides[] = {sizes + rank, sizes + 2 * rank};
  const int64_t n = sizes[rank - 1];
  const int64_t sa = strides[0][rank - 1];
  const int64_t sb = strides[1][rank - 1];
  Odometer<2> at(rank - 1, sizes, strides);
  do {
    const I *a = first + at.offset[0];
    const I *b = second + at.offset[1];
    if (sa == 1 && sb == 1) {
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = F::Of(a[i], b[i]);
    } else if (sa == 1) {
      const I y = *b;
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = F::Of(a[i], y);
    } else if (sb == 1) {
      const I x = *a;
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = F::Of(x, b[i]);
    } else {
      std::fill_n(out, n, F::Of(*a, *b));
    }
    out += n;
  } while (at.Next());
  return true;
}

template <class F>
bool BinaryNonZero(const Call &c) {
  const int32_t *b = c.To<int32_t>(2);
  for (int64_t i = 0, n = c.p[1 + 3 * c.p[0]]; i < n; i++)
    if (b[i] == 0) return false;
  return Binary<F, int32_t, int32_t>(c);
}
// Wraps around as products do.
struct PowI {
  static int32_t Of(int32_t a, int32_t b) {
    uint32_t power = 1;
    for (uint32_t base = static_cast<uint32_t>(a), rest = static_cast<uint32_t>(b); rest > 0; rest /= 2, base *= base)
      if (rest & 1) power *= base;
    return static_cast<int32_t>(power);
  }
};
bool BinaryPower(const Call &c) {
  const int32_t *b = c.To<int32_t>(2);
  for (int64_t i = 0, n = c.p[1 + 3 * c.p[0]]; i < n; i++)
    if (b[i] < 0) return false;
  return Binary<PowI, int32_t, int32_t>(c);
}
struct FloorDivI {
  static int32_t Of(int32_t a, int32_t b) {
    // The smallest integer has no negative, and would trap.
    if (b == -1) return Minus(0, a);
    const int32_t q = a / b;
    return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
  }
};
struct FloorModI {
  static int32_t Of(int32_t a, int32_t b) {
    if (b == -1) return 0;
    const int32_t r = a % b;
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
};
struct FloorModF {
  static float Of(float a, float b) {
    // Of fewer quotients than this, products with b are exact as doubles, and so is the rest.
    constexpr double FEW = 1 << 28;
    const double quotient = static_cast<double>(a) / b;
    if (std::fabs(quotient) < FEW && std::fabs(b) <= std::numeric_limits<float>::max()) {
      const float r = static_cast<float>(a - std::floor(quotient) * b);
      return r == 0 ? std::copysign(r, a) : r;
    }
    const float r = std::fmod(a, b);
    return r != 0 && (r < 0) != (b < 0) ? r + b : r;
  }
};

// The remainder that has the sign of the first number.
struct FmodF {
  static float Of(float a, float b) {
    // As in FloorModF.
    constexpr double FEW = 1 << 28;
    const double quotient = static_cast<double>(a) / b;
    if (std::fabs(quotient) < FEW && std::fabs(b) <= std::numeric_limits<float>::max()) {
      const float r = static_cast<float>(a - std::trunc(quotient) * b);
      return r == 0 ? std::copysign(r, a) : r;
    }
    return std::fmod(a, b);
  }
};
// Squares of floats neither overflow nor vanish as doubles.
struct HypotF {
  static float Of(float a, float b) {
    const double x = a, y = b;
    const float length = static_cast<float>(std::sqrt(x * x + y * y));
    return std::fabs(a) == INFINITY || std::fabs(b) == INFINITY ? INFINITY : length;
  }
};
// The angle of the point (b, a).
struct Atan2F {
  static float Of(float a, float b) {
    const float height = std::fabs(a), width = std::fabs(b);
    const bool steep = height > width;
    const float shorter = steep ? width : height, longer = steep ? height : width;
    // Also of infinity and infinity, and of 0 and 0; NaN stays.
    const double share = shorter == longer ? longer == 0 ? 0 : 1 : static_cast<double>(shorter) / longer;
    const double angle = AtanOfShare(share);
    const double up = steep ? 1.57079632679489662 - angle : angle;
    const bool behind = std::copysign(1.0f, b) < 0;
    const float y = std::copysign(static_cast<float>(behind ? 3.14159265358979324 - up : up), a);
    return a != a || b != b ? a + b : y;
  }
};
// The bits of floats count upwards from 0 in both directions.
struct NextAfterF {
  static float Of(float a, float b) {
    const float next = FromBits(Plus(ToBits(a), (b > a) == (a > 0) ? 1 : -1));
    const float from0 = std::copysign(FromBits(1), b);
    const float y = a == b ? b : a == 0 ? from0 : next;
    return a != a || b != b ? a + b : y;
  }
};
// Wraps around for the smallest integer, as its absolute value does.
struct GcdI {
  static int32_t Of(int32_t a, int32_t b) {
    uint32_t x = a < 0 ? 0u - static_cast<uint32_t>(a) : static_cast<uint32_t>(a);
    uint32_t y = b < 0 ? 0u - static_cast<uint32_t>(b) : static_cast<uint32_t>(b);
    while (y != 0) {
      const uint32_t rest = x % y;
      x = y;
      y = rest;
    }
    return static_cast<int32_t>(x);
  }
};

// Parameters: dimensions, sizes, strides of condition and of both sides.
template <class T>
bool Select(const Call &c) {
  T *out = c.To<T>(0);
  const int64_t rank = c.p[0];
  const int64_t *sizes = c.p + 1;
  const int64_t *strides[] = {sizes + rank, sizes + 2 * rank, sizes + 3 * rank};
  const int64_t n = sizes[rank - 1];
  const int64_t s[] = {strides[0][rank - 1], strides[1][rank - 1], strides[2][rank - 1]};
  Odometer<3> at(rank - 1, sizes, strides);
  do {
    const uint8_t *which = c.To<uint8_t>(1) + at.offset[0];
    const T *a = c.To<T>(2) + at.offset[1];
    const T *b = c.To<T>(3) + at.offset[2];
    if (s[0] == 1 && s[1] == 1 && s[2] == 1) {
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = which[i] ? a[i] : b[i];
    } else if (s[0] == 1 && s[1] == 1 && s[2] == 0) {
      const T y = *b;
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = which[i] ? a[i] : y;
    } else if (s[0] == 1 && s[1] == 0 && s[2] == 1) {
      const T x = *a;
      SAME_INDEX
      for (int64_t i = 0; i < n; i++) out[i] = which[i] ? x : b[i];
    } else {
      for (int64_t i = 0; i < n; i++) out[i] = which[i * s[0]] ? a[i * s[1]] : b[i * s[2]];
    }
    out += n;
  } while (at.Next());
  return true;
}

// ---- Copies ----

// Floats of a line of the cache.
constexpr int64_t LINE = 16;

#if defined(__has_builtin)
#if __has_builtin(__builtin_shufflevector)
#define SHUFFLES
#endif
#endif

// A number of any type, as its 4 bytes.
typedef int32_t Word __attribute__((may_alias));

// Writes 8 columns of 8 numbers as rows. Rows are written, and columns read, at given places.
inline void TurnBlock(Word *out, const int64_t *rows, const Word *in, const int64_t *columns) {
#if defined(SHUFFLES)
  typedef int32_t Eight __attribute__((vector_size(32), aligned(4), may_alias));
#define SHUFFLE __builtin_shufflevector
  Eight r[8], t[8];
  for (int i = 0; i < 8; i++) r[i] = *reinterpret_cast<const Eight *>(in + columns[i]);
  for (int i = 0; i < 8; i += 2) {
    t[i] = SHUFFLE(r[i], r[i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
    t[i + 1] = SHUFFLE(r[i], r[i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
  }
  for (int i = 0; i < 8; i += 4)
    for (int j = 0; j < 2; j++) {
      r[i + 2 * j] = SHUFFLE(t[i + j], t[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
      r[i + 2 * j + 1] = SHUFFLE(t[i + j], t[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
    }
  for (int i = 0; i < 4; i++) {
    *reinterpret_cast<Eight *>(out + rows[i]) = SHUFFLE(r[i], r[i + 4], 0, 1, 2, 3, 8, 9, 10, 11);
    *reinterpret_cast<Eight *>(out + rows[i + 4]) = SHUFFLE(r[i], r[i + 4], 4, 5, 6, 7, 12, 13, 14, 15);
  }
#undef SHUFFLE
#else
  for (int i = 0; i < 8; i++)
    for (int j = 0; j < 8; j++) out[rows[i] + j] = in[columns[j] + i];
#endif
}

// Writes columns as rows, in blocks of whole lines of the cache.
inline void Turn(Word *out, const std::vector<int64_t> &rows, const Word *in, const std::vector<int64_t> &columns) {
  const int64_t height = static_cast<int64_t>(rows.size()), width = static_cast<int64_t>(columns.size());
  for (int64_t j0 = 0; j0 < width; j0 += LINE)
    for (int64_t i0 = 0; i0 < height; i0 += LINE) {
      const int64_t iEnd = std::min(height, i0 + LINE), jEnd = std::min(width, j0 + LINE);
      const int64_t iBlocks = i0 + (iEnd - i0) / 8 * 8, jBlocks = j0 + (jEnd - j0) / 8 * 8;
      for (int64_t i = i0; i < iBlocks; i += 8)
        for (int64_t j = j0; j < jBlocks; j += 8) TurnBlock(out + j, &rows[i], in + i, &columns[j]);
      for (int64_t i = i0; i < iEnd; i++)
        for (int64_t j = i < iBlocks ? jBlocks : j0; j < jEnd; j++) out[rows[i] + j] = in[columns[j] + i];
    }
}

// Gives `row` where each row is written and read, with the strides there, and how many numbers it has. Parameters: dimensions,
// sizes, strides of what is written and of what is read.
template <class T, class Row>
bool EachRow(const Call &c, Row row) {
  const int64_t rank = c.p[0];
  const int64_t *sizes = c.p + 1;
  const int64_t *strides[] = {sizes + rank, sizes + 2 * rank};
  const int64_t n = sizes[rank - 1], so = strides[0][rank - 1], si = strides[1][rank - 1];
  Odometer<2> at(rank - 1, sizes, strides);
  do row(c.To<T>(0) + at.offset[0], so, c.To<T>(1) + at.offset[1], si, n);
  while (at.Next());
  return true;
}

// Dimensions that follow one another in memory, on one side of a copy, until there is a line of the cache.
struct Chain {
  int64_t length = 1;
  // For each of its numbers, its place on the other side.
  std::vector<int64_t> places;

  // Takes the dimensions from those that aren't used.
  Chain(int64_t rank, const int64_t *sizes, const int64_t *near, const int64_t *far, bool *used) {
    places.push_back(0);
    for (int64_t d = rank - 1; d >= 0 && length < LINE; d--) {
      if (used[d] || near[d] != length) continue;
      used[d] = true;
      places.resize(length * sizes[d]);
      for (int64_t i = length; i < length * sizes[d]; i++) places[i] = places[i - length] + far[d];
      length *= sizes[d];
      d = rank;
    }
  }
};

// Copies where what is read in the order of memory is another dimension than what is written so; false for other copies.
inline bool CopyTurned(const Call &c) {
  const int64_t rank = c.p[0];
  const int64_t *sizes = c.p + 1, *outs = sizes + rank, *ins = outs + rank;
  if (outs[rank - 1] != 1 || ins[rank - 1] <= 1 || std::find(ins, ins + rank, 1) == ins + rank) return false;
  // What is written begins with the last dimension, whatever is taken for what is read.
  bool used[16] = {};
  used[rank - 1] = true;
  const Chain rows(rank, sizes, ins, outs, used);
  used[rank - 1] = false;
  const Chain columns(rank, sizes, outs, ins, used);
  if (rows.length < 8 || columns.length < 8) return false;
  int64_t outer[16], strides[2][16], n = 0;
  for (int64_t d = 0; d < rank; d++)
    if (!used[d]) outer[n] = sizes[d], strides[0][n] = outs[d], strides[1][n++] = ins[d];
  const int64_t *steps[] = {strides[0], strides[1]};
  Odometer<2> at(n, outer, steps);
  do Turn(c.To<int32_t>(0) + at.offset[0], rows.places, c.To<int32_t>(1) + at.offset[1], columns.places);
  while (at.Next());
  return true;
}

// Parameters: those of EachRow.
template <class T>
bool Copy(const Call &c) {
  if (sizeof(T) == 4 && CopyTurned(c)) return true;
  return EachRow<T>(c, [](T *out, int64_t so, const T *in, int64_t si, int64_t n) {
    if (so == 1 && si == 1) {
      if (n >= 16) memcpy(out, in, n * sizeof(T));
      else for (int64_t i = 0; i < n; i++) out[i] = in[i];
    } else if (so == 1 && si == 0) {
      std::fill_n(out, n, *in);
    } else {
      for (int64_t i = 0; i < n; i++) out[i * so] = in[i * si];
    }
  });
}

// Adds floats to those that are there. Parameters: those of EachRow.
bool AddInto(const Call &c) {
  return EachRow<float>(c, [](float *out, int64_t so, const float *in, int64_t si, int64_t n) {
    if (so == 1 && si == 1)
      for (int64_t i = 0; i < n; i++) out[i] += in[i];
    else
      for (int64_t i = 0; i < n; i++) out[i * so] += in[i * si];
  });
}

// Fills with its input, a scalar. Parameters: elements.
template <class T>
bool Fill(const Call &c) {
  std::fill_n(c.To<T>(0), c.p[0], *c.To<T>(1));
  return true;
}

// Whether all of some indices are at least 0 and below a count: of all at once, so that the loop is vectorized.
inline bool AreInside(const int32_t *indices, int64_t n, int64_t count) {
  uint32_t highest = 0;
  for (int64_t i = 0; i < n; i++) highest = std::max(highest, static_cast<uint32_t>(indices[i]));
  return n == 0 || static_cast<int64_t>(highest) < count;
}

// Indices that follow one another, as those of padding and of windows do: their rows are one piece of memory.
struct Stretch {
  int64_t at, index, length;
};
// None where there are so many that looking for them doesn't pay.
inline std::vector<Stretch> StretchesOf(const int32_t *indices, int64_t n) {
  int64_t count = 0;
  for (int64_t i = 1; i < n; i++) count += indices[i] != indices[i - 1] + 1;
  std::vector<Stretch> stretches;
  if (count > n / 4) return stretches;
  for (int64_t i = 0, at = 0; i < n; at = i) {
    for (i++; i < n && indices[i] == indices[i - 1] + 1;) i++;
    stretches.push_back({at, indices[at], i - at});
  }
  return stretches;
}

// Parameters: outer, rows to choose from, chosen rows, numbers in a row; whether each outer part has its own indices.
template <class T>
bool Gather(const Call &c) {
  T *out = c.To<T>(0);
  const T *rows = c.To<T>(1);
  const int32_t *indices = c.To<int32_t>(2);
  const int64_t outer = c.p[0], count = c.p[1], chosen = c.p[2], width = c.p[3];
  const bool shared = c.p[4] == 0;
  if (shared && !AreInside(indices, chosen, count)) return false;
  const std::vector<Stretch> stretches = shared ? StretchesOf(indices, chosen) : std::vector<Stretch>();
  for (int64_t o = 0; o < outer; o++) {
    if (!shared && !AreInside(indices, chosen, count)) return false;
    if (!stretches.empty())
      for (const Stretch &s : stretches) memcpy(out + s.at * width, rows + s.index * width, s.length * width * sizeof(T));
    else if (width == 1)
      for (int64_t i = 0; i < chosen; i++) out[i] = rows[indices[i]];
    else
      for (int64_t i = 0; i < chosen; i++) memcpy(out + i * width, rows + indices[i] * width, width * sizeof(T));
    out += chosen * width;
    rows += count * width;
    if (!shared) indices += chosen;
  }
  return true;
}

// Adds rows to those at their indices, the same ones in each outer part. Parameters: outer, rows there, rows that are added, the range of
// the numbers in a row, their count.
template <class T>
bool AddRows(const Call &c) {
  T *out = c.To<T>(0);
  const T *rows = c.To<T>(1);
  const int32_t *indices = c.To<int32_t>(2);
  const int64_t outer = c.p[0], count = c.p[1], n = c.p[2], from = c.p[3], to = c.p[4], width = c.p[5];
  if (!AreInside(indices, n, count)) return false;
  const std::vector<Stretch> stretches = from == 0 && to == width ? StretchesOf(indices, n) : std::vector<Stretch>();
  for (int64_t o = 0; o < outer; o++, out += count * width, rows += n * width) {
    for (const Stretch &s : stretches) {
      T *sum = out + s.index * width;
      const T *row = rows + s.at * width;
      for (int64_t j = 0; j < s.length * width; j++) sum[j] = Plus(sum[j], row[j]);
    }
    if (!stretches.empty()) continue;
    if (width == 1) {
      for (int64_t i = 0; i < n; i++) out[indices[i]] = Plus(out[indices[i]], rows[i]);
      continue;
    }
    for (int64_t i = 0; i < n; i++) {
      T *sum = out + indices[i] * width;
      const T *row = rows + i * width;
      for (int64_t j = from; j < to; j++) sum[j] = Plus(sum[j], row[j]);
    }
  }
  return true;
}

// Fills a range of the numbers in each row.
template <class T>
void FillRows(T *out, int64_t rows, int64_t from, int64_t to, int64_t width, T value) {
  // Rows of one number each would take a call for each.
  if (to - from == width) std::fill_n(out, rows * width, value);
  else for (int64_t row = 0; row < rows; row++) std::fill(out + row * width + from, out + row * width + to, value);
}

// Parameters: segments, rows, the range of the numbers in a row, their count. Rows of negative segments are left out.
template <class T>
bool SegmentSum(const Call &c) {
  T *out = c.To<T>(0);
  const T *rows = c.To<T>(1);
  const int32_t *segments = c.To<int32_t>(2);
  const int64_t count = c.p[0], n = c.p[1], from = c.p[2], to = c.p[3], width = c.p[4];
  FillRows<T>(out, count, from, to, width, 0);
  for (int64_t i = 0; i < n; i++, rows += width) {
    const int32_t segment = segments[i];
    if (segment >= count) return false;
    if (segment < 0) continue;
    T *sum = out + segment * width;
    for (int64_t j = from; j < to; j++) sum[j] = Plus(sum[j], rows[j]);
  }
  return true;
}

// Parameters: the same. Segments without rows have the lowest value.
template <class T>
bool SegmentMax(const Call &c) {
  T *out = c.To<T>(0);
  const T *rows = c.To<T>(1);
  const int32_t *segments = c.To<int32_t>(2);
  const int64_t count = c.p[0], n = c.p[1], from = c.p[2], to = c.p[3], width = c.p[4];
  FillRows<T>(out, count, from, to, width, std::numeric_limits<T>::lowest());
  for (int64_t i = 0; i < n; i++, rows += width) {
    const int32_t segment = segments[i];
    if (segment >= count) return false;
    if (segment < 0) continue;
    T *most = out + segment * width;
    for (int64_t j = from; j < to; j++) most[j] = most[j] < rows[j] || rows[j] != rows[j] ? rows[j] : most[j];
  }
  return true;
}

enum class Scattering { UPDATE, ADD, MAX, MIN, MUL };

template <class T, Scattering MODE>
T Combined(T a, T b) {
  if constexpr (MODE == Scattering::UPDATE) return b;
  if constexpr (MODE == Scattering::ADD) return Plus(a, b);
  // NaN stays, and comes in.
  if constexpr (MODE == Scattering::MAX) return a != a || a > b ? a : b;
  if constexpr (MODE == Scattering::MIN) return a != a || a < b ? a : b;
  if constexpr (MODE == Scattering::MUL) return Times(a, b);
}

// Combines numbers with those at their places in the same row. Parameters: rows, numbers in a row of what is written and of what is read.
template <class T, Scattering MODE>
bool ScatterRows(const Call &c) {
  T *out = c.To<T>(0);
  const int32_t *places = c.To<int32_t>(1);
  const T *x = c.To<T>(2);
  const int64_t length = c.p[1], n = c.p[2];
  for (int64_t r = 0; r < c.p[0]; r++, out += length, places += n, x += n) {
    if (!AreInside(places, n, length)) return false;
    for (int64_t i = 0; i < n; i++) out[places[i]] = Combined<T, MODE>(out[places[i]], x[i]);
  }
  return true;
}

// Writes rows at places of several indices, or combines them with what is there. Parameters: places, indices of each, numbers in a row, then size and
// stride of each index.
template <class T, Scattering MODE>
bool Scatter(const Call &c) {
  T *out = c.To<T>(0);
  const int32_t *indices = c.To<int32_t>(1);
  const T *rows = c.To<T>(2);
  const int64_t n = c.p[0], depth = c.p[1], width = c.p[2];
  const int64_t *sizes = c.p + 3;
  const int64_t *strides = sizes + depth;
  for (int64_t i = 0; i < n; i++, indices += depth, rows += width) {
    int64_t offset = 0;
    for (int64_t d = 0; d < depth; d++) {
      if (indices[d] < 0 || indices[d] >= sizes[d]) return false;
      offset += indices[d] * strides[d];
    }
    T *to = out + offset;
    for (int64_t j = 0; j < width; j++) to[j] = Combined<T, MODE>(to[j], rows[j]);
  }
  return true;
}

// ---- Reductions ----

#define REDUCTION(Name, Type, start, expression)               \
  struct Name {                                                \
    static constexpr Type START = start;                       \
    static Type Of(Type a, Type b) { return expression; }      \
  };
REDUCTION(SumF, float, 0, a + b)
REDUCTION(ProdF, float, 1, a *b)
REDUCTION(MaximumF, float, -INFINITY, a != a ? a : b != b ? b : a > b ? a : b)
REDUCTION(MinimumF, float, INFINITY, a != a ? a : b != b ? b : a < b ? a : b)
REDUCTION(SumI, int32_t, 0, Plus(a, b))
REDUCTION(ProdI, int32_t, 1, Times(a, b))
REDUCTION(MaximumI, int32_t, INT32_MIN, a > b ? a : b)
REDUCTION(MinimumI, int32_t, INT32_MAX, a < b ? a : b)
REDUCTION(AllB, uint8_t, 1, a &b)
REDUCTION(AnyB, uint8_t, 0, a | b)
#undef REDUCTION

template <class F, class T>
T ReduceBlock(const T *x, int64_t n) {
  // Independent partial results, as many as two registers have, can be computed side by side.
  constexpr int PARTS = 2 * LANES;
  if (n < PARTS) {
    T result = F::START;
    for (int64_t i = 0; i < n; i++) result = F::Of(result, x[i]);
    return result;
  }
  T parts[PARTS];
  for (int j = 0; j < PARTS; j++) parts[j] = x[j];
  int64_t i = PARTS;
  for (; i + PARTS <= n; i += PARTS)
    for (int j = 0; j < PARTS; j++) parts[j] = F::Of(parts[j], x[i + j]);
  for (; i < n; i++) parts[i % PARTS] = F::Of(parts[i % PARTS], x[i]);
  for (int width = PARTS / 2; width > 0; width /= 2)
    for (int j = 0; j < width; j++) parts[j] = F::Of(parts[j], parts[j + width]);
  return parts[0];
}

template <class F, class T>
T ReduceRow(const T *x, int64_t n) {
  // The sums of blocks are added as doubles: a long sum of floats would lose digits.
  constexpr int64_t BLOCK = 512;
  if (!std::is_same<F, SumF>::value || n <= BLOCK) return ReduceBlock<F, T>(x, n);
  double sum = 0;
  for (int64_t i = 0; i < n; i += BLOCK) sum += ReduceBlock<F, T>(x + i, std::min(BLOCK, n - i));
  return static_cast<T>(sum);
}

// Rows from which on sums of columns are added as doubles.
constexpr int64_t FEW_ROWS = 8;

// Columns up to which their sums are taken register by register, each time through all rows.
constexpr int64_t FEW_COLUMNS = 256;

// Sums of some registers of columns, of rows that are `stride` numbers apart. Sums of some floats each are added as doubles.
template <int COUNT>
void SumRegisters(double *sums, const float *x, int64_t rows, int64_t stride) {
  constexpr int64_t FEW = 8;
  for (int64_t r = 0; r < rows;) {
    Vector some[COUNT] = {};
    for (const int64_t end = std::min(r + FEW, rows); r < end; r++, x += stride)
      for (int v = 0; v < COUNT; v++) some[v] += Load(x + v * LANES);
    for (int v = 0; v < COUNT; v++)
      for (int l = 0; l < LANES; l++) sums[v * LANES + l] += some[v][l];
  }
}

// Sums of columns that follow one another, of few columns. What is left out of the sum is walked by `part`, whose last dimension has
// `rows` rows.
inline void SumFewColumns(float *out, const float *x, int64_t inner, int64_t rows, int64_t stride, Odometer<1> part) {
  double *sums = reinterpret_cast<double *>(Scratch(2 * inner, 0));
  std::fill_n(sums, inner, 0.0);
  do {
    const float *from = x + part.offset[0];
    int64_t i = 0;
    for (; i + 4 * LANES <= inner; i += 4 * LANES) SumRegisters<4>(sums + i, from + i, rows, stride);
    for (; i + LANES <= inner; i += LANES) SumRegisters<1>(sums + i, from + i, rows, stride);
    if (i == inner) continue;
    for (int64_t r = 0; r < rows; r++)
      for (int64_t j = i; j < inner; j++) sums[j] += from[r * stride + j];
  } while (part.Next());
  for (int64_t i = 0; i < inner; i++) out[i] = static_cast<float>(sums[i]);
}

// Sums of columns. What is left out of the sum is walked by `part`. Sums of some floats each are added as doubles.
inline void SumColumns(float *out, const float *x, int64_t inner, int64_t step, Odometer<1> part) {
  constexpr int FEW = 8;
  double *sums = reinterpret_cast<double *>(Scratch(3 * inner, 0));
  float *some = reinterpret_cast<float *>(sums + inner);
  std::fill_n(sums, inner, 0.0);
  for (bool more = true; more;) {
    std::fill_n(some, inner, 0.0f);
    for (int i = 0; i < FEW && more; i++, more = part.Next()) {
      const float *row = x + part.offset[0];
      if (step == 1) for (int64_t j = 0; j < inner; j++) some[j] += row[j];
      else for (int64_t j = 0; j < inner; j++) some[j] += row[j * step];
    }
    for (int64_t j = 0; j < inner; j++) sums[j] += some[j];
  }
  for (int64_t i = 0; i < inner; i++) out[i] = static_cast<float>(sums[i]);
}

// The same of rows that follow one another, each of `width` numbers, which are fewer than a register's. The first of so many registers
// has the columns again that it had before LANES rows.
inline void SumNarrowColumns(float *out, const float *x, int64_t inner, int64_t width, int64_t rows) {
  constexpr int64_t FEW = 256;
  double sums[LANES] = {};
  int64_t r = 0;
  // The last row isn't read as a part of a register: what follows it may not be there.
  while (rows - r > LANES) {
    Vector some[LANES] = {};
    for (const int64_t end = std::min((rows - 1 - r) / LANES, FEW) * LANES + r; r < end; r += LANES, x += LANES * width)
      for (int64_t v = 0; v < width; v++) some[v] += Load(x + v * LANES);
    for (int64_t v = 0; v < width; v++)
      for (int64_t l = 0; l < LANES; l++) sums[(v * LANES + l) % width] += some[v][l];
  }
  for (; r < rows; r++, x += width)
    for (int64_t i = 0; i < inner; i++) sums[i] += x[i];
  for (int64_t i = 0; i < inner; i++) out[i] = static_cast<float>(sums[i]);
}

// Parameters: what to divide by (0: nothing), kept dimensions, their sizes and strides, the same of those that go.
template <class F, class T>
bool Reduce(const Call &c) {
  T *out = c.To<T>(0);
  const T *x = c.To<T>(1);
  const int64_t divisor = c.p[0];
  const int64_t kept = c.p[1];
  const int64_t *keptSizes = c.p + 2;
  const int64_t *keptStrides[] = {keptSizes + kept};
  const int64_t gone = c.p[2 + 2 * kept];
  const int64_t *goneSizes = c.p + 3 + 2 * kept;
  const int64_t *goneStrides[] = {goneSizes + gone};
  const int64_t inner = kept == 0 ? 1 : keptSizes[kept - 1];
  int64_t count = inner;
  for (int64_t d = 0; d + 1 < kept; d++) count *= keptSizes[d];
  if (gone > 0 && goneStrides[0][gone - 1] == 1) {
    Odometer<1> at(kept, keptSizes, keptStrides);
    const int64_t n = goneSizes[gone - 1];
    T *to = out;
    do {
      Odometer<1> part(gone - 1, goneSizes, goneStrides);
      T result = F::START;
      do result = F::Of(result, ReduceRow<F, T>(x + at.offset[0] + part.offset[0], n));
      while (part.Next());
      *to++ = result;
    } while (at.Next());
  } else {
    const int64_t step = kept == 0 ? 0 : keptStrides[0][kept - 1];
    Odometer<1> at(kept > 0 ? kept - 1 : 0, keptSizes, keptStrides);
    T *to = out;
    int64_t rows = 1;
    for (int64_t d = 0; d < gone; d++) rows *= goneSizes[d];
    do {
      Odometer<1> part(gone, goneSizes, goneStrides);
      if constexpr (std::is_same<F, SumF>::value) {
        if (rows > FEW_ROWS) {
          const bool narrow = gone == 1 && step == 1 && goneStrides[0][0] >= inner && goneStrides[0][0] < LANES;
          if (narrow) SumNarrowColumns(to, x + at.offset[0], inner, goneStrides[0][0], rows);
          else if (step == 1 && inner >= LANES && inner <= FEW_COLUMNS)
            SumFewColumns(to, x + at.offset[0], inner, goneSizes[gone - 1], goneStrides[0][gone - 1], Odometer<1>(gone - 1, goneSizes, goneStrides));
          else SumColumns(to, x + at.offset[0], inner, step, part);
          to += inner;
          continue;
        }
      }
      std::fill_n(to, inner, F::START);
      do {
        const T *row = x + at.offset[0] + part.offset[0];
        if (step == 1) {
          for (int64_t i = 0; i < inner; i++) to[i] = F::Of(to[i], row[i]);
        } else {
          for (int64_t i = 0; i < inner; i++) to[i] = F::Of(to[i], row[i * step]);
        }
      } while (part.Next());
      to += inner;
    } while (at.Next());
  }
  if (divisor != 0)
    for (int64_t i = 0; i < count; i++) out[i] = out[i] / static_cast<T>(divisor);
  return true;
}

// Parameters: outer, the range of inner that is computed, length, inner. The first NaN is what PyTorch finds.
template <class T, bool LEAST>
bool ArgExtreme(const Call &c) {
  int32_t *out = c.To<int32_t>(0);
  const T *x = c.To<T>(1);
  const int64_t outer = c.p[0], from = c.p[1], length = c.p[3], inner = c.p[4];
  if (inner == 1) {
    for (int64_t o = 0; o < outer; o++, x += length) {
      T extreme = x[0];
      // Of two comparisons, and no branch: vectorized.
      bool valid = extreme == extreme;
      for (int64_t i = 1; i < length; i++) {
        extreme = LEAST ? std::min(extreme, x[i]) : std::max(extreme, x[i]);
        valid &= x[i] == x[i];
      }
      int64_t at = 0;
      while (valid ? x[at] != extreme : x[at] == x[at]) at++;
      out[o] = static_cast<int32_t>(at);
    }
    return true;
  }
  const int64_t width = c.p[2] - from;
  T *extremes = reinterpret_cast<T *>(Scratch(width, 0));
  out += from;
  x += from;
  for (int64_t o = 0; o < outer; o++, out += inner) {
    std::copy_n(x, width, extremes);
    std::fill_n(out, width, 0);
    x += inner;
    for (int64_t i = 1; i < length; i++, x += inner)
      for (int64_t j = 0; j < width; j++) {
        const T now = x[j], top = extremes[j];
        const bool taken = (LEAST ? now < top : now > top) | ((now != now) & (top == top));
        extremes[j] = taken ? now : top;
        out[j] = taken ? static_cast<int32_t>(i) : out[j];
      }
  }
  return true;
}

// Totals of floats are doubles, as PyTorch's.
template <class T>
using Total = std::conditional_t<std::is_same_v<T, float>, double, T>;
template <bool PRODUCT>
double Cumulated(double total, float x) {
  return PRODUCT ? total * x : total + x;
}
template <bool PRODUCT>
int32_t Cumulated(int32_t total, int32_t x) {
  return PRODUCT ? Times(total, x) : Plus(total, x);
}

// The totals of ROWS rows so far, side by side: each addition waits for the one before it.
template <class F, class T, bool PRODUCT, int ROWS>
void CumulateRows(T *out, const T *x, int64_t length, bool exclusive, bool reverse) {
  Total<T> totals[ROWS];
  for (Total<T> &total : totals) total = F::START;
  for (int64_t k = 0; k < length; k++) {
    const int64_t i = reverse ? length - 1 - k : k;
    UNROLL
    for (int r = 0; r < ROWS; r++) {
      const Total<T> next = Cumulated<PRODUCT>(totals[r], x[r * length + i]);
      out[r * length + i] = static_cast<T>(exclusive ? totals[r] : next);
      totals[r] = next;
    }
  }
}

// Parameters: outer, the range of inner that is computed, length, inner; exclusive, reverse.
template <class F, class T, bool PRODUCT>
bool Cumulate(const Call &c) {
  T *out = c.To<T>(0);
  const T *x = c.To<T>(1);
  const int64_t outer = c.p[0], from = c.p[1], length = c.p[3], inner = c.p[4];
  const bool exclusive = c.p[5], reverse = c.p[6];
  if (inner == 1) {
    constexpr int TOGETHER = 8;
    int64_t o = 0;
    for (; o + TOGETHER <= outer; o += TOGETHER)
      CumulateRows<F, T, PRODUCT, TOGETHER>(out + o * length, x + o * length, length, exclusive, reverse);
    for (; o < outer; o++) CumulateRows<F, T, PRODUCT, 1>(out + o * length, x + o * length, length, exclusive, reverse);
    return true;
  }
  // Some columns at a time, whose totals stay in the cache.
  constexpr int64_t SOME = 512;
  Total<T> totals[SOME];
  for (int64_t o = 0; o < outer; o++)
    for (int64_t begin = from; begin < c.p[2]; begin += SOME) {
      const int64_t width = std::min(SOME, c.p[2] - begin);
      std::fill_n(totals, width, static_cast<Total<T>>(F::START));
      for (int64_t k = 0; k < length; k++) {
        const int64_t row = (o * length + (reverse ? length - 1 - k : k)) * inner + begin;
        for (int64_t j = 0; j < width; j++) {
          const Total<T> next = Cumulated<PRODUCT>(totals[j], x[row + j]);
          out[row + j] = static_cast<T>(exclusive ? totals[j] : next);
          totals[j] = next;
        }
      }
    }
  return true;
}

// ---- Order ----

// A number and its place as one integer: sorted, they are in descending order, and equal numbers in that of their places.
inline uint64_t PairOf(float x, int64_t place) {
  // Adding 0 makes 0 of -0.
  const uint32_t bits = static_cast<uint32_t>(ToBits(x + 0.0f));
  const uint32_t ascending = bits >> 31 ? ~bits : bits | 0x80000000u;
  return static_cast<uint64_t>(~ascending) << 32 | static_cast<uint64_t>(place);
}
inline uint64_t PairOf(int32_t x, int64_t place) {
  return static_cast<uint64_t>(~(static_cast<uint32_t>(x) ^ 0x80000000u)) << 32 | static_cast<uint64_t>(place);
}

// Sorts pairs by their numbers, byte by byte from the lowest one (radix sort); `other` has room for as many. Returns where they are.
inline const uint64_t *SortPairs(uint64_t *pairs, uint64_t *other, int64_t n) {
  constexpr int64_t FEW = 128;
  if (n <= FEW) {
    std::sort(pairs, pairs + n);
    return pairs;
  }
  int64_t counts[4][256] = {};
  for (int64_t i = 0; i < n; i++)
    for (int b = 0; b < 4; b++) counts[b][pairs[i] >> (32 + 8 * b) & 255]++;
  for (int b = 0; b < 4; b++) {
    const int shift = 32 + 8 * b;
    int64_t *places = counts[b];
    // The same byte everywhere orders nothing.
    if (places[pairs[0] >> shift & 255] == n) continue;
    int64_t at = 0;
    for (int byte = 0; byte < 256; byte++) {
      const int64_t count = places[byte];
      places[byte] = at;
      at += count;
    }
    for (int64_t i = 0; i < n; i++) other[places[pairs[i] >> shift & 255]++] = pairs[i];
    std::swap(pairs, other);
  }
  return pairs;
}

// Parameters: rows, numbers in a row, how many. The lower index comes first among equals.
template <class T>
bool TopK(const Call &c) {
  T *largest = c.To<T>(0);
  int32_t *places = c.To<int32_t>(1);
  const T *x = c.To<T>(2);
  const int64_t n = c.p[1], wanted = c.p[2];
  // Few are kept in a heap, whose top is the least of them.
  constexpr int64_t FEW = 64;
  const bool few = wanted <= FEW && wanted < n;
  // Not scratch memory, which is kept: a sort may need much.
  const std::unique_ptr<uint64_t[]> memory(new uint64_t[few ? FEW : 2 * n]);
  uint64_t *const pairs = memory.get();
  for (int64_t r = 0; r < c.p[0]; r++, x += n, largest += wanted, places += wanted) {
    for (int64_t i = 0; i < (few ? wanted : n); i++) pairs[i] = PairOf(x[i], i);
    const uint64_t *sorted = pairs;
    if (few) {
      std::make_heap(pairs, pairs + wanted);
      for (int64_t i = wanted; i < n; i++) {
        const uint64_t pair = PairOf(x[i], i);
        if (pair >= pairs[0]) continue;
        std::pop_heap(pairs, pairs + wanted);
        pairs[wanted - 1] = pair;
        std::push_heap(pairs, pairs + wanted);
      }
      std::sort_heap(pairs, pairs + wanted);
    } else {
      if (wanted < n) std::nth_element(pairs, pairs + wanted, pairs + n);
      if (wanted < n) std::sort(pairs, pairs + wanted);
      else sorted = SortPairs(pairs, pairs + n, n);
    }
    for (int64_t i = 0; i < wanted; i++) {
      places[i] = static_cast<int32_t>(sorted[i] & 0xffffffff);
      largest[i] = x[places[i]];
    }
  }
  return true;
}

#include "rows.h"
#include "ctc.h"
#include "windows.h"
#include "grid.h"
#include "products.h"
#include "spatial.h"
#include "fewChannels.h"
#include "spatialGroups.h"
#include "planar.h"
#include "winograd.h"
#include "spatialNorms.h"
#include "draws.h"
#include "factors.h"
#include "linear.h"
#include "recurrent.h"

// ---- The table ----

#define PIECES                                                                                                            \
  CASE(LeakyRelu) CASE(ScaledElu) CASE(Hardtanh) CASE(Hardshrink) CASE(Softshrink) CASE(Threshold) CASE(Hardsigmoid)      \
  CASE(Hardswish) CASE(LogSigmoid) CASE(Huber)

Kernel UnaryKernel(Code code, Type type) {
  if (type == Type::FLOAT) switch (code) {
#define CASE(Name) \
  case Code::Name: return Unary<Name##F, float, float>;
    CASE(Neg) CASE(Exp) CASE(Log) CASE(Log1p) CASE(Expm1) CASE(Sqrt) CASE(Rsqrt) CASE(Square) CASE(Abs) CASE(Sign)
    CASE(Tanh) CASE(Sigmoid) CASE(Relu) CASE(Erf) CASE(Rint) CASE(Floor) CASE(Ceil)
    CASE(Reciprocal) CASE(Softplus) CASE(Asin) CASE(Acos) CASE(Atan) CASE(Sinh) CASE(Cosh) CASE(Asinh)
    CASE(Acosh) CASE(Atanh) CASE(Erfc) CASE(Erfinv) CASE(Lgamma) CASE(Digamma) CASE(Gelu) CASE(GeluTanh) CASE(Silu)
    CASE(Exp2) CASE(Trigamma)
#undef CASE
#define CASE(Name) \
  case Code::Name: return Piecewise<Name##F>;
    PIECES
#undef CASE
    case Code::Sin: return OfAngle<SinF>;
    case Code::Cos: return OfAngle<CosF>;
    case Code::Tan: return OfAngle<TanF>;
    case Code::IsNan: return Unary<IsNanF, float, uint8_t>;
    default: return nullptr;
  }
  if (type == Type::INT32) switch (code) {
    case Code::Neg: return Unary<NegI, int32_t, int32_t>;
    case Code::Abs: return Unary<AbsI, int32_t, int32_t>;
    case Code::Square: return Unary<SquareI, int32_t, int32_t>;
    case Code::Sign: return Unary<SignI, int32_t, int32_t>;
    default: return nullptr;
  }
  return code == Code::LogicalNot ? Unary<NotB, uint8_t, uint8_t> : nullptr;
}

Kernel BinaryKernel(Code code, Type type) {
  if (type == Type::FLOAT) switch (code) {
#define CASE(Name) \
  case Code::Name: return Binary<Name##F, float, float>;
    CASE(Sub) CASE(Mul) CASE(Pow) CASE(SquaredDifference) CASE(FloorDiv) CASE(FloorMod) CASE(ReluGrad) CASE(TanhGrad)
    CASE(SigmoidGrad) CASE(GeluGrad) CASE(GeluTanhGrad) CASE(SiluGrad) CASE(Atan2) CASE(NextAfter) CASE(Fmod) CASE(Hypot)
    CASE(Copysign)
#undef CASE
#define CASE(Name) \
  case Code::Name: return Binary<Name##F, float, uint8_t>;
    CASE(Less) CASE(LessEqual) CASE(Greater) CASE(GreaterEqual) CASE(Equal) CASE(NotEqual)
#undef CASE
    case Code::AddV2: return Binary<AddF, float, float>;
    case Code::RealDiv: return Binary<DivF, float, float>;
    case Code::Maximum: return Binary<MaxF, float, float>;
    case Code::Minimum: return Binary<MinF, float, float>;
    default: return nullptr;
  }
  if (type == Type::INT32) switch (code) {
#define CASE(Name) \
  case Code::Name: return Binary<Name##I, int32_t, uint8_t>;
    CASE(Less) CASE(LessEqual) CASE(Greater) CASE(GreaterEqual) CASE(Equal) CASE(NotEqual)
#undef CASE
#define CASE(Name) \
  case Code::Name: return Binary<Name##I, int32_t, int32_t>;
    CASE(BitwiseAnd) CASE(BitwiseOr) CASE(BitwiseXor) CASE(LeftShift) CASE(RightShift)
#undef CASE
    case Code::AddV2: return Binary<AddI, int32_t, int32_t>;
    case Code::Sub: return Binary<SubI, int32_t, int32_t>;
    case Code::Mul: return Binary<MulI, int32_t, int32_t>;
    case Code::Maximum: return Binary<MaxI, int32_t, int32_t>;
    case Code::Minimum: return Binary<MinI, int32_t, int32_t>;
    case Code::Gcd: return Binary<GcdI, int32_t, int32_t>;
    case Code::FloorDiv: return BinaryNonZero<FloorDivI>;
    case Code::FloorMod: return BinaryNonZero<FloorModI>;
    case Code::Pow: return BinaryPower;
    default: return nullptr;
  }
  switch (code) {
    case Code::Equal: return Binary<EqualB, uint8_t, uint8_t>;
    case Code::NotEqual: return Binary<NotEqualB, uint8_t, uint8_t>;
    case Code::LogicalAnd: return Binary<AndB, uint8_t, uint8_t>;
    case Code::LogicalOr: return Binary<OrB, uint8_t, uint8_t>;
    default: return nullptr;
  }
}

Kernel PiecewiseGradKernel(Code code) {
  switch (code) {
#define CASE(Name) \
  case Code::Name##Grad: return PiecewiseGrad<Name##F>;
    PIECES
#undef CASE
    default: return nullptr;
  }
}
#undef PIECES

Kernel ReduceKernel(Code code, Type type) {
  const bool real = type == Type::FLOAT;
  switch (code) {
    case Code::Sum: return real ? Reduce<SumF, float> : Reduce<SumI, int32_t>;
    case Code::Mean: return real ? Reduce<SumF, float> : nullptr;
    case Code::Prod: return real ? Reduce<ProdF, float> : Reduce<ProdI, int32_t>;
    case Code::Max: return real ? Reduce<MaximumF, float> : Reduce<MaximumI, int32_t>;
    case Code::Min: return real ? Reduce<MinimumF, float> : Reduce<MinimumI, int32_t>;
    case Code::All: return Reduce<AllB, uint8_t>;
    case Code::Any: return Reduce<AnyB, uint8_t>;
    default: return nullptr;
  }
}

Kernel CastKernel(Type from, Type to) {
  if (to == Type::BOOL) return from == Type::FLOAT ? CastToBool<float> : CastToBool<int32_t>;
  if (to == Type::FLOAT) return from == Type::INT32 ? CastTo<int32_t, float> : CastTo<uint8_t, float>;
  return from == Type::FLOAT ? CastTo<float, int32_t> : CastTo<uint8_t, int32_t>;
}

constexpr Kernels KERNELS = {
    UnaryKernel,
    BinaryKernel,
    ReduceKernel,
    CastKernel,
    {Copy<uint8_t>, Copy<int32_t>},
    AddInto,
    {Fill<uint8_t>, Fill<int32_t>},
    {Select<uint8_t>, Select<int32_t>},
    {Gather<uint8_t>, Gather<int32_t>},
    {AddRows<float>, AddRows<int32_t>},
    {SegmentSum<float>, SegmentSum<int32_t>},
    {SegmentMax<float>, SegmentMax<int32_t>},
    {Scatter<int32_t, Scattering::UPDATE>, Scatter<float, Scattering::ADD>, Scatter<int32_t, Scattering::ADD>,
     Scatter<uint8_t, Scattering::UPDATE>, Scatter<float, Scattering::MAX>, Scatter<int32_t, Scattering::MAX>,
     Scatter<float, Scattering::MIN>, Scatter<int32_t, Scattering::MIN>},
    {ScatterRows<int32_t, Scattering::UPDATE>, ScatterRows<float, Scattering::ADD>, ScatterRows<int32_t, Scattering::ADD>,
     ScatterRows<uint8_t, Scattering::UPDATE>, ScatterRows<float, Scattering::MAX>, ScatterRows<int32_t, Scattering::MAX>,
     ScatterRows<float, Scattering::MIN>, ScatterRows<int32_t, Scattering::MIN>, ScatterRows<float, Scattering::MUL>,
     ScatterRows<int32_t, Scattering::MUL>},
    {ArgExtreme<float, false>, ArgExtreme<float, true>, ArgExtreme<int32_t, false>, ArgExtreme<int32_t, true>},
    {Cumulate<SumF, float, false>, Cumulate<ProdF, float, true>, Cumulate<SumI, int32_t, false>, Cumulate<ProdI, int32_t, true>},
    PiecewiseGradKernel,
    Softmax,
    LogSoftmax,
    SoftmaxGrad,
    LogSoftmaxGrad,
    CrossEntropy,
    LayerNorm,
    LayerNormGrad,
    CtcLoss,
    WindowMaxima,
    GridSample,
    GridSampleInputGrad,
    GridSampleGridGrad,
    {TopK<float>, TopK<int32_t>},
    MatMul,
    Convolve,
    FilterGradient,
    ConvolveGroups,
    ConvolvePlanar,
    FilterGradientPlanar,
    ConvolveFew,
    FilterGradientFew,
    GroupFilterGradient,
    WinogradFilter,
    Winograd,
    WinogradFilterGradient,
    MaxPool,
    MaxPoolGrad,
    BatchNorm,
    BatchNormGrad,
    GroupNorm,
    GroupNormGrad,
    AdamStep,
    ChannelMoments,
    MatrixInverse,
    MatrixSolve,
    TriangularSolve,
    LogMatrixDeterminant,
    Cholesky,
    Qr,
    LuFactor,
    PivotOrder,
    SelfAdjointEig,
    Svd,
    CheckNumerics,
    PackPanels,
    SequenceForward<LstmCell>,
    SequenceBackward<LstmCell>,
    SequenceForward<GruCell>,
    SequenceBackward<GruCell>,
    {SequenceForward<RnnCell<false>>, SequenceForward<RnnCell<true>>},
    {SequenceBackward<RnnCell<false>>, SequenceBackward<RnnCell<true>>},
    LANES,
    Draw,
};
