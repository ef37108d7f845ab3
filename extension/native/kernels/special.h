// Special functions of one number, in double precision, as tensor/ops/elementwise/specialValues.ts has them for hosts.
#pragma once

#include <cmath>
#include <limits>

namespace layerwise {

// The derivative of ln Γ: the asymptotic series above 10, the recurrence below, the reflection formula for negatives.
inline double Digamma(double x) {
  constexpr double PI = 3.14159265358979323846;
  if (x == 0) return std::copysign(std::numeric_limits<double>::infinity(), -x);
  double reflected = 0;
  if (x < 0) {
    if (x == std::floor(x)) return std::nan("");
    reflected = -PI / std::tan(PI * x);
    x = 1 - x;
  }
  double sum = 0;
  for (; x < 10; x++) sum -= 1 / x;
  const double s = 1 / (x * x);
  const double series = s * (1.0 / 12 - s * (1.0 / 120 - s * (1.0 / 252 - s * (1.0 / 240 - s / 132))));
  return reflected + sum + std::log(x) - 0.5 / x - series;
}

// The derivative of Digamma: the asymptotic series above 10, the recurrence below, the reflection formula for negatives.
inline double Trigamma(double x) {
  constexpr double PI = 3.14159265358979323846;
  double reflected = 0, sign = 1;
  if (x <= 0) {
    if (x == std::floor(x) && std::isfinite(x)) return std::numeric_limits<double>::infinity();
    // Of what is left of whole numbers: π x has few digits behind the point.
    const double sine = std::sin(PI * (x - std::nearbyint(x)));
    reflected = PI * PI / (sine * sine);
    sign = -1;
    x = 1 - x;
  }
  double sum = 0;
  for (; x < 10; x++) sum += 1 / (x * x);
  const double s = 1 / (x * x);
  const double series = 1 / x * (1 + s * (1.0 / 6 - s * (1.0 / 30 - s * (1.0 / 42 - s * (1.0 / 30 - s * (5.0 / 66))))));
  return reflected + sign * (sum + series + s / 2);
}

// The inverse of erf: Giles' approximation (Approximating the erfinv function), made exact by a step of Newton's method.
inline double Erfinv(double y) {
  constexpr double HALF_ROOT = 0.88622692545275801365;
  constexpr double NEAR[] = {2.81022636e-08, 3.43273939e-07, -3.5233877e-06, -4.39150654e-06, 0.00021858087,
                             -0.00125372503, -0.00417768164, 0.246640727,    1.50140941};
  constexpr double FAR[] = {-0.000200214257, 0.000100950558, 0.00134934322, -0.00367342844, 0.00573950773,
                            -0.0076224613,   0.00943887047,  1.00167406,    2.83297682};
  const double size = std::fabs(y);
  if (!(size < 1)) return size == 1 ? std::copysign(std::numeric_limits<double>::infinity(), y) : std::nan("");
  const double l = -std::log((1 - size) * (1 + size));
  const bool near = l < 5;
  const double t = near ? l - 2.5 : std::sqrt(l) - 3;
  double x = 0;
  for (int i = 0; i < 9; i++) x = x * t + (near ? NEAR : FAR)[i];
  x *= size;
  // erf(x) - y, by way of what is small on either side.
  const double excess = size < 0.5 ? std::erf(x) - size : 1 - size - std::erfc(x);
  return std::copysign(x - excess * HALF_ROOT * std::exp(x * x), y);
}

}  // namespace layerwise
