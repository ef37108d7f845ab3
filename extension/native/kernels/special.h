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

// The inverse of erf: Winitzki's approximation, made exact by Newton's method.
inline double Erfinv(double y) {
  constexpr double PI = 3.14159265358979323846, A = 0.147;
  const double size = std::fabs(y);
  if (!(size < 1)) return size == 1 ? std::copysign(std::numeric_limits<double>::infinity(), y) : std::nan("");
  const double l = std::log1p(-y * y), half = 2 / (PI * A) + l / 2;
  double x = std::sqrt(std::sqrt(half * half - l / A) - half);
  for (int i = 0; i < 3; i++) {
    // erf(x) - y, by way of what is small on either side.
    const double excess = size < 0.5 ? std::erf(x) - size : 1 - size - std::erfc(x);
    x -= excess * (std::sqrt(PI) / 2) * std::exp(x * x);
  }
  return std::copysign(x, y);
}

}  // namespace layerwise
