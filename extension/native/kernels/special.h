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

}  // namespace layerwise
