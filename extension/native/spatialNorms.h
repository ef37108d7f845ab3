// Batch norm and group norm, part of kernels.h. Channels come last.

// ---- Batch norm ----

// Means and biased variances of channels: those of a few rows at a time, while they are in the cache, are combined (Chan, Golub,
// LeVeque: Updating Formulae and a Pairwise Algorithm for Computing Sample Variances). Parameters: rows, channels, a range of
// channels.
bool ChannelMoments(const Call &c) {
  const int64_t rows = c.p[0], n = c.p[1], from = c.p[2], count = c.p[3] - from;
  const float *x = c.To<float>(2) + from;
  constexpr int64_t FEW = 32;
  double *mean = reinterpret_cast<double *>(Scratch(6 * count, 0));
  double *squares = mean + count;
  float *centre = reinterpret_cast<float *>(squares + count), *some = centre + count;
  std::fill_n(mean, 2 * count, 0.0);
  for (int64_t r = 0; r < rows; r += FEW, x += FEW * n) {
    const int64_t few = std::min(FEW, rows - r);
    std::fill_n(centre, count, 0.0f);
    for (int64_t i = 0; i < few; i++)
      for (int64_t q = 0; q < count; q++) centre[q] += x[i * n + q];
    for (int64_t q = 0; q < count; q++) centre[q] /= static_cast<float>(few);
    std::fill_n(some, count, 0.0f);
    for (int64_t i = 0; i < few; i++)
      for (int64_t q = 0; q < count; q++) some[q] += (x[i * n + q] - centre[q]) * (x[i * n + q] - centre[q]);
    const double share = static_cast<double>(few) / static_cast<double>(r + few);
    for (int64_t q = 0; q < count; q++) {
      const double step = centre[q] - mean[q];
      mean[q] += step * share;
      squares[q] += some[q] + step * step * share * static_cast<double>(r);
    }
  }
  for (int64_t q = 0; q < count; q++) {
    c.To<float>(0)[from + q] = static_cast<float>(mean[q]);
    c.To<float>(1)[from + q] = static_cast<float>(squares[q] / static_cast<double>(rows));
  }
  return true;
}

// From input, weight, bias, mean and variance. Parameters: rows, channels, epsilon.
bool BatchNorm(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1), *weight = c.To<float>(2), *bias = c.To<float>(3), *mean = c.To<float>(4);
  const int64_t n = c.p[1];
  float *scale = Scratch(n, 0);
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  for (int64_t q = 0; q < n; q++) scale[q] = weight[q] / std::sqrt(c.To<float>(5)[q] + epsilon);
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += n) {
    SAME_INDEX
    for (int64_t q = 0; q < n; q++) out[q] = (x[q] - mean[q]) * scale[q] + bias[q];
  }
  return true;
}

// Gradients of input, weight and bias, from those of the result, input, weight, mean and variance. Parameters: rows, channels,
// epsilon, a range of channels.
bool BatchNormGrad(const Call &c) {
  const int64_t rows = c.p[0], n = c.p[1], from = c.p[3], count = c.p[4] - from;
  float *out = c.To<float>(0) + from;
  const float *g = c.To<float>(3) + from, *x = c.To<float>(4) + from, *weight = c.To<float>(5) + from;
  const float *mean = c.To<float>(6) + from;
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  constexpr int64_t FEW = 32;
  double *sums = reinterpret_cast<double *>(Scratch(9 * count, 0));
  double *products = sums + count;
  float *scale = reinterpret_cast<float *>(products + count), *slope = scale + count, *average = slope + count;
  float *someSums = average + count, *someProducts = someSums + count;
  std::fill_n(sums, 2 * count, 0.0);
  for (int64_t r = 0; r < rows;) {
    std::fill_n(someSums, 2 * count, 0.0f);
    for (const int64_t end = std::min(rows, r + FEW); r < end; r++)
      for (int64_t q = 0; q < count; q++) {
        const float gradient = g[r * n + q];
        someSums[q] += gradient;
        someProducts[q] += gradient * (x[r * n + q] - mean[q]);
      }
    for (int64_t q = 0; q < count; q++) {
      sums[q] += someSums[q];
      products[q] += someProducts[q];
    }
  }
  for (int64_t q = 0; q < count; q++) {
    const double root = 1 / std::sqrt(static_cast<double>(c.To<float>(7)[from + q] + epsilon));
    scale[q] = static_cast<float>(weight[q] * root);
    slope[q] = static_cast<float>(products[q] * root * root / rows);
    average[q] = static_cast<float>(sums[q] / rows);
    c.To<float>(1)[from + q] = static_cast<float>(products[q] * root);
    c.To<float>(2)[from + q] = static_cast<float>(sums[q]);
  }
  for (int64_t r = 0; r < rows; r++, x += n, g += n, out += n) {
    SAME_INDEX
    for (int64_t q = 0; q < count; q++) out[q] = (g[q] - average[q] - (x[q] - mean[q]) * slope[q]) * scale[q];
  }
  return true;
}

// ---- Group norm ----

// Adds up terms of each channel for all positions: some as floats, and these sums as doubles.
template <class Term>
void ChannelSums(int64_t positions, int64_t n, double *sums, float *some, const Term &term) {
  constexpr int64_t FEW = 32;
  std::fill_n(sums, n, 0.0);
  for (int64_t r = 0; r < positions;) {
    std::fill_n(some, n, 0.0f);
    for (const int64_t end = std::min(positions, r + FEW); r < end; r++)
      for (int64_t q = 0; q < n; q++) some[q] += term(r * n + q, q);
    for (int64_t q = 0; q < n; q++) sums[q] += some[q];
  }
}

// From input, weight and bias; also the mean of each image's groups, and what their distances from it are multiplied with.
// Parameters: a range of images; positions, channels, groups, epsilon.
bool GroupNorm(const Call &c) {
  const int64_t positions = c.p[2], n = c.p[3], groups = c.p[4], each = n / groups;
  const float epsilon = FromBits(static_cast<int32_t>(c.p[5]));
  const float *weight = c.To<float>(4), *bias = c.To<float>(5);
  double *sums = reinterpret_cast<double *>(Scratch(5 * n, 0));
  float *some = reinterpret_cast<float *>(sums + n), *centre = some + n, *scale = centre + n;
  const auto sumOf = [&](int64_t g) { return std::accumulate(sums + g * each, sums + (g + 1) * each, 0.0); };
  const double count = static_cast<double>(positions * each);
  for (int64_t image = c.p[0]; image < c.p[1]; image++) {
    const float *x = c.To<float>(3) + image * positions * n;
    float *out = c.To<float>(0) + image * positions * n;
    float *mean = c.To<float>(1) + image * groups, *root = c.To<float>(2) + image * groups;
    ChannelSums(positions, n, sums, some, [=](int64_t i, int64_t) { return x[i]; });
    for (int64_t g = 0; g < groups; g++) {
      mean[g] = static_cast<float>(sumOf(g) / count);
      std::fill_n(centre + g * each, each, mean[g]);
    }
    ChannelSums(positions, n, sums, some, [=](int64_t i, int64_t q) { return (x[i] - centre[q]) * (x[i] - centre[q]); });
    for (int64_t g = 0; g < groups; g++) {
      root[g] = static_cast<float>(1 / std::sqrt(sumOf(g) / count + epsilon));
      for (int64_t q = g * each; q < (g + 1) * each; q++) scale[q] = weight[q] * root[g];
    }
    for (int64_t r = 0; r < positions; r++, x += n, out += n) {
      SAME_INDEX
      for (int64_t q = 0; q < n; q++) out[q] = (x[q] - centre[q]) * scale[q] + bias[q];
    }
  }
  return true;
}

// Gradients of the input and, for each image, of weight and bias: from those of the result, input, weight, means and roots.
bool GroupNormGrad(const Call &c) {
  const int64_t positions = c.p[2], n = c.p[3], groups = c.p[4], each = n / groups;
  const float *weight = c.To<float>(5);
  double *sums = reinterpret_cast<double *>(Scratch(9 * n, 0));
  double *products = sums + n;
  float *some = reinterpret_cast<float *>(products + n), *centre = some + n, *scale = centre + n, *shift = scale + n, *slope = shift + n;
  const double count = static_cast<double>(positions * each);
  for (int64_t image = c.p[0]; image < c.p[1]; image++) {
    const float *g = c.To<float>(3) + image * positions * n, *x = c.To<float>(4) + image * positions * n;
    float *out = c.To<float>(0) + image * positions * n;
    float *weightGrad = c.To<float>(1) + image * n, *biasGrad = c.To<float>(2) + image * n;
    const float *mean = c.To<float>(6) + image * groups, *root = c.To<float>(7) + image * groups;
    for (int64_t q = 0; q < n; q++) centre[q] = mean[q / each];
    ChannelSums(positions, n, sums, some, [=](int64_t i, int64_t) { return g[i]; });
    ChannelSums(positions, n, products, some, [=](int64_t i, int64_t q) { return g[i] * (x[i] - centre[q]); });
    for (int64_t group = 0; group < groups; group++) {
      const double r = root[group];
      double total = 0, along = 0;
      for (int64_t q = group * each; q < (group + 1) * each; q++) {
        total += weight[q] * sums[q];
        along += weight[q] * products[q];
        weightGrad[q] = static_cast<float>(products[q] * r);
        biasGrad[q] = static_cast<float>(sums[q]);
        scale[q] = static_cast<float>(weight[q] * r);
      }
      for (int64_t q = group * each; q < (group + 1) * each; q++) {
        shift[q] = static_cast<float>(total * r / count);
        slope[q] = static_cast<float>(along * r * r * r / count);
      }
    }
    for (int64_t r = 0; r < positions; r++, x += n, g += n, out += n) {
      SAME_INDEX
      for (int64_t q = 0; q < n; q++) out[q] = g[q] * scale[q] - shift[q] - (x[q] - centre[q]) * slope[q];
    }
  }
  return true;
}
