// Functions of one number, part of kernels.h.

// ---- Functions of numbers, written so that loops of them can be vectorized ----

inline float FromBits(int32_t bits) {
  float x;
  memcpy(&x, &bits, 4);
  return x;
}
inline int32_t ToBits(float x) {
  int32_t bits;
  memcpy(&bits, &x, 4);
  return bits;
}

// Whole numbers that don't fit into 32 bits wrap around, as TensorFlow's do; C++ leaves them undefined.
inline int32_t Plus(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b)); }
inline int32_t Minus(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) - static_cast<uint32_t>(b)); }
inline int32_t Times(int32_t a, int32_t b) { return static_cast<int32_t>(static_cast<uint32_t>(a) * static_cast<uint32_t>(b)); }
inline float Plus(float a, float b) { return a + b; }
inline float Times(float a, float b) { return a * b; }

// e^r - 1 for |r| up to ln(2) / 2, by the polynomial of Cephes' expf.
inline float NearZeroExpm1(float r) {
  float y = 1.9875691500e-4f;
  y = y * r + 1.3981999507e-3f;
  y = y * r + 8.3334519073e-3f;
  y = y * r + 4.1665795894e-2f;
  y = y * r + 1.6666665459e-1f;
  y = y * r + 5.0000001201e-1f;
  return y * r * r + r;
}

// Cephes' expf; denormal results are 0. Its choices are written so that GCC makes no branches of them.
inline float ExpOf(float x) {
  const float below = x < 88.7228394f ? x : 88.7228394f;
  const float bounded = below > -87.34f ? below : -87.34f;
  // Adding and subtracting 1.5 · 2^23 rounds.
  const float n = (bounded * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
  const int32_t whole = static_cast<int32_t>(n);
  const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
  float y = NearZeroExpm1(r) + 1.0f;
  // In two factors: 2^128 is no float.
  const int32_t half = whole >> 1;
  y = y * FromBits((half + 127) << 23) * FromBits((whole - half + 127) << 23);
  y = x < -87.3365479f ? 0.0f : y;
  y = x > 88.7228394f ? INFINITY : y;
  return x != x ? x : y;
}

// ExpOf without the 1 that its polynomial ends with: what is left of a small number isn't rounded away.
inline float Expm1Of(float x) {
  const float below = x < 80.0f ? x : 80.0f;
  const float bounded = below > -80.0f ? below : -80.0f;
  const float n = (bounded * 1.44269504088896341f + 12582912.0f) - 12582912.0f;
  const float r = bounded - n * 0.693359375f + n * 2.12194440e-4f;
  float y = NearZeroExpm1(r);
  const float scale = FromBits((static_cast<int32_t>(n) + 127) << 23);
  y = scale * y + (scale - 1.0f);
  y = x > 80.0f ? ExpOf(x) : y;
  // Also of NaN, and the sign of 0.
  return x != x || x == 0 ? x : y;
}

// Cephes' exp2f.
inline float Exp2Of(float x) {
  const float below = x < 129.0f ? x : 129.0f;
  const float bounded = below > -151.0f ? below : -151.0f;
  const float n = (bounded + 12582912.0f) - 12582912.0f;
  const int32_t whole = static_cast<int32_t>(n);
  const float r = bounded - n;
  float y = 1.535336188319500e-4f;
  y = y * r + 1.339887440266574e-3f;
  y = y * r + 9.618437357674640e-3f;
  y = y * r + 5.550332471162809e-2f;
  y = y * r + 2.402264791363012e-1f;
  y = y * r + 6.931472028550421e-1f;
  y = y * r + 1.0f;
  const int32_t half = whole >> 1;
  y = y * FromBits((half + 127) << 23) * FromBits((whole - half + 127) << 23);
  return x != x ? x : y;
}

// Cephes' atanf of 0 to 1. What its polynomial is added to keeps the digits of doubles.
inline double AtanOfShare(double x) {
  const bool steep = x > 0.4142135623730950;
  const double t = steep ? (x - 1) / (x + 1) : x;
  const float u = static_cast<float>(t), z = u * u;
  float y = 8.05374449538e-2f;
  y = y * z - 1.38776856032e-1f;
  y = y * z + 1.99777106478e-1f;
  y = y * z - 3.33329491539e-1f;
  return t + y * z * u + (steep ? 0.78539816339744831 : 0.0);
}
inline float AtanOf(float x) {
  const double size = std::fabs(x);
  const double angle = AtanOfShare(size > 1 ? 1 / size : size);
  const float y = static_cast<float>(size > 1 ? 1.57079632679489662 - angle : angle);
  return x != x ? x : std::copysign(y, x);
}

// Cephes' logf; denormals count as 0.
inline float LogOf(float x) {
  const int32_t bits = ToBits(x);
  float m = FromBits((bits & 0x007fffff) | 0x3f000000);
  float e = static_cast<float>(((bits >> 23) & 0xff) - 126);
  const bool low = m < 0.707106781186547524f;
  e = low ? e - 1.0f : e;
  m = low ? m + m - 1.0f : m - 1.0f;
  const float z = m * m;
  float y = 7.0376836292e-2f;
  y = y * m - 1.1514610310e-1f;
  y = y * m + 1.1676998740e-1f;
  y = y * m - 1.2420140846e-1f;
  y = y * m + 1.4249322787e-1f;
  y = y * m - 1.6668057665e-1f;
  y = y * m + 2.0000714765e-1f;
  y = y * m - 2.4999993993e-1f;
  y = y * m + 3.3333331174e-1f;
  y = y * m * z;
  y = y + e * -2.12194440e-4f - 0.5f * z;
  y = m + y + e * 0.693359375f;
  y = x < 1.17549435e-38f ? -INFINITY : y;
  y = x < 0 ? NAN : y;
  y = x == INFINITY ? INFINITY : y;
  return x != x ? x : y;
}

// Cephes' tanhf near 0, and 1 - 2 / (e^2x + 1) elsewhere.
inline float TanhOf(float x) {
  const float size = std::fabs(x);
  const float s = x * x;
  float near = -5.70498872745e-3f;
  near = near * s + 2.06390887954e-2f;
  near = near * s + -5.37397155531e-2f;
  near = near * s + 1.33314422036e-1f;
  near = near * s + -3.33332819422e-1f;
  near = near * s * x + x;
  const float far = std::copysign(1.0f - 2.0f / (ExpOf(2.0f * size) + 1.0f), x);
  const float y = size < 0.625f ? near : far;
  return x != x ? x : y;
}

// What 1 + x loses by rounding is made up for.
inline float Log1pOf(float x) {
  const float u = 1.0f + x;
  const float y = LogOf(u) + (x - (u - 1.0f)) / u;
  const float finite = u == 0.0f ? -INFINITY : y;
  return x == INFINITY ? x : finite;
}

// Cephes' erff near 0, and 1 - erfcf elsewhere.
inline float ErfOf(float x) {
  const float size = std::fabs(x);
  const float s = x * x;
  float near = 7.853861353153693e-5f;
  near = near * s + -8.010193625184903e-4f;
  near = near * s + 5.188327685732524e-3f;
  near = near * s + -2.685381193529856e-2f;
  near = near * s + 1.128358514861418e-1f;
  near = near * s + -3.761262582423300e-1f;
  near = near * s + 1.28379165726710e-1f;
  near = near * x + x;
  // erfcf beyond 1 and beyond 2; at 4 it is less than half of a unit in the last place of 1.
  const float q = 1.0f / (size < 1.0f ? 1.0f : size);
  const float z = q * q;
  float one = 2.326819970068386e-2f;
  one = one * z + -1.387039388740657e-1f;
  one = one * z + 3.687424674597105e-1f;
  one = one * z + -5.824733027278666e-1f;
  one = one * z + 6.210004621745983e-1f;
  one = one * z + -4.944515323274145e-1f;
  one = one * z + 3.404879937665872e-1f;
  one = one * z + -2.741127028184656e-1f;
  one = one * z + 5.638259427386472e-1f;
  float two = -1.047766399936249e+1f;
  two = two * z + 1.297719955372516e+1f;
  two = two * z + -7.495518717768503f;
  two = two * z + 2.921019019210786f;
  two = two * z + -1.015265279202700f;
  two = two * z + 4.218463358204948e-1f;
  two = two * z + -2.820767439740514e-1f;
  two = two * z + 5.641895067754075e-1f;
  const float tail = ExpOf(-s) * q * (size < 2.0f ? one : two);
  const float far = std::copysign(1.0f - tail, x);
  const float y = size < 1.0f ? near : far;
  return x != x ? x : y;
}

// The inverse of erf, by that of the normal distribution function (Wichura: Algorithm AS 241, PPND16): its quotients of polynomials
// are exact in double precision.
inline float ErfinvOf(float y) {
  const float size = std::fabs(y);
  const double half = 0.5 * y, s = 0.180625 - half * half;
  double near = 2509.0809287301227;
  near = near * s + 33430.57558358813;
  near = near * s + 67265.7709270087;
  near = near * s + 45921.95393154987;
  near = near * s + 13731.69376550946;
  near = near * s + 1971.5909503065513;
  near = near * s + 133.14166789178438;
  near = near * s + 3.3871328727963665;
  double nearUnder = 5226.495278852854;
  nearUnder = nearUnder * s + 28729.085735721943;
  nearUnder = nearUnder * s + 39307.89580009271;
  nearUnder = nearUnder * s + 21213.794301586597;
  nearUnder = nearUnder * s + 5394.196021424751;
  nearUnder = nearUnder * s + 687.1870074920579;
  nearUnder = nearUnder * s + 42.31333070160091;
  nearUnder = nearUnder * s + 1.0;
  // What is left to 1 is exact.
  const double t = std::sqrt(static_cast<double>(-LogOf(0.5f * (1.0f - size)))) - 1.6;
  double far = 0.0007745450142783414;
  far = far * t + 0.022723844989269184;
  far = far * t + 0.2417807251774506;
  far = far * t + 1.2704582524523684;
  far = far * t + 3.6478483247632045;
  far = far * t + 5.769497221460691;
  far = far * t + 4.630337846156546;
  far = far * t + 1.4234371107496835;
  double farUnder = 1.0507500716444169e-09;
  farUnder = farUnder * t + 0.0005475938084995345;
  farUnder = farUnder * t + 0.015198666563616457;
  farUnder = farUnder * t + 0.14810397642748008;
  farUnder = farUnder * t + 0.6897673349851;
  farUnder = farUnder * t + 1.6763848301838038;
  farUnder = farUnder * t + 2.053191626637759;
  farUnder = farUnder * t + 1.0;
  const bool central = size <= 0.85f;
  const double quotient = (central ? near * std::fabs(half) : far) / (central ? nearUnder : farUnder);
  const float x = std::copysign(static_cast<float>(quotient * 0.70710678118654752), y);
  const float finite = size < 1.0f ? x : std::copysign(INFINITY, y);
  return size <= 1.0f ? finite : NAN;
}

// tanh(√(2/π) (x + 0.044715 x³)).
inline float GeluAngle(float x) { return TanhOf(0.7978845608028654f * (x + 0.044715f * x * x * x)); }

inline float GeluSlope(float x) {
  const float share = 0.5f * (1.0f + ErfOf(x * 0.70710678118654752f));
  return share + x * ExpOf(-0.5f * x * x) * 0.39894228040143268f;
}
inline float GeluTanhSlope(float x) {
  const float angle = GeluAngle(x);
  return 0.5f * (1.0f + angle) + x * (1.0f - angle * angle) * (0.3989422804014327f + 0.0535161215f * x * x);
}
inline float SiluSlope(float x) {
  const float share = 1.0f / (1.0f + ExpOf(-x));
  return share * (1.0f + x * (1.0f - share));
}

#define SCALAR(Name, expression) \
  struct Name {                  \
    static float Of(float x) { return expression; } \
  };
SCALAR(NegF, -x)
SCALAR(ExpF, ExpOf(x))
SCALAR(LogF, LogOf(x))
SCALAR(Log1pF, Log1pOf(x))
SCALAR(Expm1F, Expm1Of(x))
SCALAR(SqrtF, std::sqrt(x))
SCALAR(RsqrtF, 1.0f / std::sqrt(x))
SCALAR(SquareF, x *x)
SCALAR(AbsF, x < 0 ? -x : x == 0 ? 0.0f : x)
SCALAR(SignF, x > 0 ? 1.0f : x < 0 ? -1.0f : 0.0f)
SCALAR(TanhF, TanhOf(x))
SCALAR(SigmoidF, 1.0f / (1.0f + ExpOf(-x)))
SCALAR(ReluF, x < 0 ? 0.0f : x)
SCALAR(ErfF, ErfOf(x))
SCALAR(RintF, std::nearbyint(x))
SCALAR(FloorF, std::floor(x))
SCALAR(CeilF, std::ceil(x))
SCALAR(ReciprocalF, 1.0f / x)
SCALAR(SoftplusF, (x < 0 ? 0.0f : x) + Log1pOf(ExpOf(-std::fabs(x))))
SCALAR(AsinF, std::asin(x))
SCALAR(AcosF, std::acos(x))
SCALAR(AtanF, AtanOf(x))
SCALAR(SinhF, std::sinh(x))
SCALAR(CoshF, std::cosh(x))
SCALAR(AsinhF, std::asinh(x))
SCALAR(AcoshF, std::acosh(x))
SCALAR(AtanhF, std::atanh(x))
SCALAR(ErfcF, static_cast<float>(std::erfc(static_cast<double>(x))))
SCALAR(ErfinvF, ErfinvOf(x))
SCALAR(TrigammaF, static_cast<float>(layerwise::Trigamma(x)))
SCALAR(Exp2F, Exp2Of(x))
SCALAR(LgammaF, static_cast<float>(std::lgamma(static_cast<double>(x))))
SCALAR(DigammaF, static_cast<float>(layerwise::Digamma(x)))
SCALAR(GeluF, 0.5f * x * (1.0f + ErfOf(x * 0.70710678118654752f)))
SCALAR(GeluTanhF, 0.5f * x * (1.0f + GeluAngle(x)))
SCALAR(SiluF, x / (1.0f + ExpOf(-x)))
#undef SCALAR

struct NegI { static int32_t Of(int32_t x) { return Minus(0, x); } };
struct AbsI { static int32_t Of(int32_t x) { return x < 0 ? Minus(0, x) : x; } };
struct SquareI { static int32_t Of(int32_t x) { return Times(x, x); } };
struct SignI { static int32_t Of(int32_t x) { return (x > 0) - (x < 0); } };
struct IsNanF { static uint8_t Of(float x) { return x != x; } };
struct NotB { static uint8_t Of(uint8_t x) { return !x; } };

template <class F, class I, class O>
bool Unary(const Call &c) {
  O *out = c.To<O>(0);
  const I *x = c.To<I>(1);
  const int64_t n = c.p[0];
  SAME_INDEX
  for (int64_t i = 0; i < n; i++) out[i] = F::Of(x[i]);
  return true;
}

// Sine and cosine of an angle up to MAX_ANGLE: what is left of it beyond quarter turns, and Cephes' polynomials.
struct Turned {
  float sine, cosine;
  int32_t quarters;
};
constexpr float MAX_ANGLE = 1e6f;
inline Turned TurnedBy(float x) {
  // Quarters of a turn have few enough bits that the first product is exact (fdlibm).
  const double quarters = std::nearbyint(x * 0.63661977236758134308);
  const double rest = x - quarters * 1.57079632673412561417e+00 - quarters * 6.07710050650619224932e-11;
  const float r = static_cast<float>(rest), z = r * r;
  const float sine = ((-1.9515295891e-4f * z + 8.3321608736e-3f) * z - 1.6666654611e-1f) * z * r + r;
  const float cosine =
      ((2.443315711809948e-5f * z - 1.388731625493765e-3f) * z + 4.166664568298827e-2f) * z * z - 0.5f * z + 1.0f;
  return {sine, cosine, static_cast<int32_t>(quarters)};
}
struct SinF {
  static float Of(float x) {
    const Turned t = TurnedBy(x);
    const float y = t.quarters & 1 ? t.cosine : t.sine;
    // The sign of 0 stays.
    return x == 0 ? x : t.quarters & 2 ? -y : y;
  }
  static float Beyond(float x) { return std::sin(x); }
};
struct CosF {
  static float Of(float x) {
    const Turned t = TurnedBy(x);
    const float y = t.quarters & 1 ? t.sine : t.cosine;
    return (t.quarters + 1) & 2 ? -y : y;
  }
  static float Beyond(float x) { return std::cos(x); }
};
struct TanF {
  static float Of(float x) {
    const Turned t = TurnedBy(x);
    const float over = t.quarters & 1 ? -t.cosine : t.sine, under = t.quarters & 1 ? t.sine : t.cosine;
    return x == 0 ? x : over / under;
  }
  static float Beyond(float x) { return std::tan(x); }
};

template <class F>
bool OfAngle(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1);
  const int64_t n = c.p[0];
  bool small = true;
  for (int64_t i = 0; i < n; i++) small &= std::fabs(x[i]) <= MAX_ANGLE;
  if (small) {
    SAME_INDEX
    for (int64_t i = 0; i < n; i++) out[i] = F::Of(x[i]);
  } else {
    for (int64_t i = 0; i < n; i++) out[i] = std::fabs(x[i]) <= MAX_ANGLE ? F::Of(x[i]) : F::Beyond(x[i]);
  }
  return true;
}

template <class I, class O>
bool CastTo(const Call &c) {
  O *out = c.To<O>(0);
  const I *x = c.To<I>(1);
  const int64_t n = c.p[0];
  // What fits into no int is the lowest one on x64, and something else elsewhere.
  constexpr bool CUT = std::is_floating_point_v<I> && std::is_same_v<O, int32_t>;
  for (int64_t i = 0; i < n; i++) {
    if constexpr (CUT)
      out[i] = x[i] >= -2147483648.0f && x[i] < 2147483648.0f ? static_cast<O>(x[i]) : INT32_MIN;
    else
      out[i] = static_cast<O>(x[i]);
  }
  return true;
}

template <class I>
bool CastToBool(const Call &c) {
  uint8_t *out = c.To<uint8_t>(0);
  const I *x = c.To<I>(1);
  const int64_t n = c.p[0];
  for (int64_t i = 0; i < n; i++) out[i] = x[i] != 0;
  return true;
}

// Functions of x with numbers a, b and c, and their gradients for that of the result, g.
#define PIECEWISE(Name, value, gradient)                                                          \
  struct Name##F {                                                                                \
    static float Of(float x, [[maybe_unused]] float a, [[maybe_unused]] float b, [[maybe_unused]] float c) { return value; } \
    static float Slope(float g, float x, [[maybe_unused]] float a, [[maybe_unused]] float b, [[maybe_unused]] float c) {     \
      return gradient;                                                                            \
    }                                                                                             \
  };
PIECEWISE(LeakyRelu, x > 0 ? x : a * x, x > 0 ? g : a * g)
PIECEWISE(ScaledElu, x <= 0 ? Expm1Of(x * c) * a : x * b, x <= 0 ? g * (ExpOf(x * c) * (a * c)) : g * b)
PIECEWISE(Hardtanh, x <= a ? a : x >= b ? b : x, x <= a ? 0.0f : x >= b ? 0.0f : g)
PIECEWISE(Hardshrink, std::fabs(x) <= a ? 0.0f : x, std::fabs(x) <= a ? 0.0f : g)
PIECEWISE(Softshrink, std::fabs(x) <= a ? 0.0f : x - (x < -a ? -a : x > a ? a : x), std::fabs(x) <= a ? 0.0f : g)
PIECEWISE(Threshold, x <= a ? b : x, x <= a ? 0.0f : g)
PIECEWISE(Hardsigmoid, ((x < -3.0f ? -3.0f : x > 3.0f ? 3.0f : x) + 3.0f) * 0.16666667f,
          x > -3.0f ? x < 3.0f ? g * 0.16666667f : 0.0f : 0.0f)
PIECEWISE(Hardswish, x <= -3.0f ? x * 0.0f : x < 3.0f ? x * ((x + 3.0f) * 0.16666667f) : x,
          x <= -3.0f ? 0.0f : x < 3.0f ? g * (x * 0.33333333f + 0.5f) : g)
PIECEWISE(LogSigmoid, (x < 0 ? x : 0.0f) - Log1pOf(ExpOf(-std::fabs(x))), g *(1.0f / (1.0f + ExpOf(x))))
// a is where the parabola ends, b the slope of the lines.
PIECEWISE(Huber, (std::fabs(x) - 0.5f * (std::fabs(x) < a ? std::fabs(x) : a)) * (std::fabs(x) < a ? std::fabs(x) : a) * (b / a),
          g *((x < -a ? -a : x > a ? a : x) * (b / a)))
#undef PIECEWISE

// Parameters: how many, the numbers.
template <class F>
bool Piecewise(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1);
  const int64_t n = c.p[0];
  const float p = FromBits(static_cast<int32_t>(c.p[1])), q = FromBits(static_cast<int32_t>(c.p[2]));
  const float r = FromBits(static_cast<int32_t>(c.p[3]));
  SAME_INDEX
  for (int64_t i = 0; i < n; i++) out[i] = F::Of(x[i], p, q, r);
  return true;
}

template <class F>
bool PiecewiseGrad(const Call &c) {
  float *out = c.To<float>(0);
  const float *gradient = c.To<float>(1);
  const float *x = c.To<float>(2);
  const int64_t n = c.p[0];
  const float p = FromBits(static_cast<int32_t>(c.p[1])), q = FromBits(static_cast<int32_t>(c.p[2]));
  const float r = FromBits(static_cast<int32_t>(c.p[3]));
  SAME_INDEX
  for (int64_t i = 0; i < n; i++) out[i] = F::Slope(gradient[i], x[i], p, q, r);
  return true;
}
