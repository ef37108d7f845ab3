// Batch norm and group norm, part of kernels.h. Channels come last.

// ---- Batch norm ----

// Rows that are taken for one, so that few channels fill registers: channels of a place are again those of the one so many
// places before.
inline int64_t RowsTogether(int64_t channels) { return channels > LANES ? 1 : 2 * LANES / channels; }

// Repeats numbers of channels for the places of such a row.
inline void Repeat(float *values, int64_t channels, int64_t places) {
  for (int64_t q = channels; q < places; q++) values[q] = values[q - channels];
}

// Combines the mean of some numbers, and the sum of their squared distances from it, with those of others.
inline void Combine(double &mean, double &squares, double count, double otherMean, double otherSquares, double others) {
  const double step = otherMean - mean, share = others / (count + others);
  mean += step * share;
  squares += otherSquares + step * step * share * count;
}

// Means and biased variances of channels: those of a few rows at a time, while they are in the cache, are combined (Chan, Golub,
// LeVeque: Updating Formulae and a Pairwise Algorithm for Computing Sample Variances). Parameters: rows, channels, a range of
// channels.
bool ChannelMoments(const Call &c) {
  const int64_t n = c.p[1], from = c.p[2], count = c.p[3] - from;
  const int64_t together = count == n ? RowsTogether(n) : 1, places = count * together, stride = n * together;
  const int64_t rows = c.p[0] / together;
  const float *x = c.To<float>(2) + from;
  constexpr int64_t FEW = 32;
  double *mean = reinterpret_cast<double *>(Scratch(6 * places, 0));
  double *squares = mean + places;
  float *centre = reinterpret_cast<float *>(squares + places), *some = centre + places;
  std::fill_n(mean, 2 * places, 0.0);
  for (int64_t r = 0; r < rows; r += FEW, x += FEW * stride) {
    const int64_t few = std::min(FEW, rows - r);
    // Distances from the first row: the mean of equal numbers is exact, so that none of them is far from it.
    std::fill_n(centre, places, 0.0f);
    for (int64_t i = 1; i < few; i++)
      for (int64_t q = 0; q < places; q++) centre[q] += x[i * stride + q] - x[q];
    for (int64_t q = 0; q < places; q++) centre[q] = x[q] + centre[q] / static_cast<float>(few);
    std::fill_n(some, places, 0.0f);
    for (int64_t i = 0; i < few; i++)
      for (int64_t q = 0; q < places; q++) some[q] += (x[i * stride + q] - centre[q]) * (x[i * stride + q] - centre[q]);
    for (int64_t q = 0; q < places; q++)
      Combine(mean[q], squares[q], static_cast<double>(r), centre[q], some[q], static_cast<double>(few));
  }
  x = c.To<float>(2) + from + rows * stride;
  for (int64_t q = 0; q < count; q++) {
    double total = static_cast<double>(rows);
    for (int64_t i = q + count; i < places; i += count) {
      if (rows > 0) Combine(mean[q], squares[q], total, mean[i], squares[i], static_cast<double>(rows));
      total += static_cast<double>(rows);
    }
    // Rows that are left.
    for (int64_t r = rows * together; r < c.p[0]; r++, total++)
      Combine(mean[q], squares[q], total, x[(r - rows * together) * n + q], 0, 1);
    c.To<float>(0)[from + q] = static_cast<float>(mean[q]);
    c.To<float>(1)[from + q] = static_cast<float>(squares[q] / static_cast<double>(c.p[0]));
  }
  return true;
}

// From input, weight, bias, mean and variance. Parameters: rows, channels, epsilon.
bool BatchNorm(const Call &c) {
  float *out = c.To<float>(0);
  const float *x = c.To<float>(1), *weight = c.To<float>(2), *variance = c.To<float>(5);
  const int64_t n = c.p[1], together = RowsTogether(n), places = n * together;
  float *scale = Scratch(3 * places, 0), *mean = scale + places, *bias = mean + places;
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  for (int64_t q = 0; q < n; q++) scale[q] = weight[q] / std::sqrt(variance[q] + epsilon);
  std::copy_n(c.To<float>(4), n, mean);
  std::copy_n(c.To<float>(3), n, bias);
  for (float *values : {scale, mean, bias}) Repeat(values, n, places);
  for (int64_t rest = c.p[0] * n; rest > 0; rest -= places, x += places, out += places) {
    const int64_t end = std::min(rest, places);
    SAME_INDEX
    for (int64_t q = 0; q < end; q++) out[q] = (x[q] - mean[q]) * scale[q] + bias[q];
  }
  return true;
}

// Gradients of input, weight and bias, from those of the result, input, weight, mean and variance. Parameters: rows, channels,
// epsilon, a range of channels.
bool BatchNormGrad(const Call &c) {
  const int64_t n = c.p[1], from = c.p[3], count = c.p[4] - from;
  const int64_t together = count == n ? RowsTogether(n) : 1, places = count * together, stride = n * together;
  const int64_t rows = c.p[0] / together, left = (c.p[0] - rows * together) * count;
  float *out = c.To<float>(0) + from;
  const float *g = c.To<float>(3) + from, *x = c.To<float>(4) + from, *weight = c.To<float>(5) + from;
  const float epsilon = FromBits(static_cast<int32_t>(c.p[2]));
  constexpr int64_t FEW = 32;
  double *sums = reinterpret_cast<double *>(Scratch(10 * places, 0));
  double *products = sums + places;
  float *scale = reinterpret_cast<float *>(products + places), *slope = scale + places, *average = slope + places;
  float *mean = average + places, *someSums = mean + places, *someProducts = someSums + places;
  std::fill_n(sums, 2 * places, 0.0);
  std::copy_n(c.To<float>(6) + from, count, mean);
  Repeat(mean, count, places);
  // Of the rows that are left, only the first places.
  const auto add = [&](int64_t begin, int64_t end, int64_t width) {
    std::fill_n(someSums, 2 * places, 0.0f);
    for (int64_t r = begin; r < end; r++)
      for (int64_t q = 0; q < width; q++) {
        const float gradient = g[r * stride + q];
        someSums[q] += gradient;
        someProducts[q] += gradient * (x[r * stride + q] - mean[q]);
      }
    for (int64_t q = 0; q < width; q++) {
      sums[q] += someSums[q];
      products[q] += someProducts[q];
    }
  };
  for (int64_t r = 0; r < rows; r += FEW) add(r, std::min(rows, r + FEW), places);
  if (left > 0) add(rows, rows + 1, left);
  for (int64_t q = 0; q < count; q++) {
    for (int64_t i = q + count; i < places; i += count) {
      sums[q] += sums[i];
      products[q] += products[i];
    }
    const double root = 1 / std::sqrt(static_cast<double>(c.To<float>(7)[from + q] + epsilon));
    scale[q] = static_cast<float>(weight[q] * root);
    slope[q] = static_cast<float>(products[q] * root * root / c.p[0]);
    average[q] = static_cast<float>(sums[q] / c.p[0]);
    c.To<float>(1)[from + q] = static_cast<float>(products[q] * root);
    c.To<float>(2)[from + q] = static_cast<float>(sums[q]);
  }
  for (float *values : {scale, slope, average}) Repeat(values, count, places);
  const auto write = [&](int64_t width) {
    SAME_INDEX
    for (int64_t q = 0; q < width; q++) out[q] = (g[q] - average[q] - (x[q] - mean[q]) * slope[q]) * scale[q];
    x += stride, g += stride, out += stride;
  };
  for (int64_t r = 0; r < rows; r++) write(places);
  if (left > 0) write(left);
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
    // Distances from the first position, as in ChannelMoments.
    ChannelSums(positions, n, sums, some, [=](int64_t i, int64_t q) { return x[i] - x[q]; });
    for (int64_t q = 0; q < n; q++) sums[q] += static_cast<double>(x[q]) * positions;
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
