// Values of images and volumes between their pixels, and the gradients of both. Included by kernels.h.

// What these kernels are called with, as parameters: a range of units, dimensions, mode, padding, whether corners are aligned, images,
// channels, places of an image's grid, and the input's sizes. As in gridPlaces.ts, whose formulas these are.
struct GridCall {
  enum Mode : int64_t { NEAREST, LINEAR, CUBIC };
  enum Padding : int64_t { ZEROS, BORDER, REFLECTION };
  int64_t from, end, dims, mode, padding, aligned, images, channels, places;
  const int64_t *sizes;

  explicit GridCall(const int64_t *p)
      : from(p[0]), end(p[1]), dims(p[2]), mode(p[3]), padding(p[4]), aligned(p[5]), images(p[6]), channels(p[7]), places(p[8]), sizes(p + 9) {}

  int64_t Pixels() const {
    int64_t count = 1;
    for (int64_t d = 0; d < dims; d++) count *= sizes[d];
    return count;
  }
  int64_t Taps() const { return mode == NEAREST ? 1 : mode == LINEAR ? 2 : 4; }
};

// Places that are computed together.
constexpr int64_t GRID_BLOCK = 64;

// Pixels along one dimension, and what they count: for each of some places. A pixel that isn't there is -1.
struct GridAxis {
  int32_t at[4][GRID_BLOCK];
  float weight[4][GRID_BLOCK], slope[4][GRID_BLOCK];
  // The derivative of the place by the grid's number.
  float factor[GRID_BLOCK];
};

inline float GridRemainder(float x, float by) {
  // Doubles hold the quotient's whole part exactly for all places that are worth anything.
  const double whole = std::floor(static_cast<double>(x) / by);
  const float rest = static_cast<float>(x - whole * by);
  return rest < 0 ? 0 : rest;
}

// Moves a place inside, and multiplies the derivative of where it is.
inline float GridInside(float x, float size, const GridCall &call, float &slope) {
  if (call.padding == GridCall::ZEROS) return x;
  if (call.padding == GridCall::REFLECTION) {
    const float low = call.aligned ? 0.0f : -0.5f, span = call.aligned ? size - 1 : size;
    if (span == 0) {
      slope = 0;
      return x * 0;
    }
    const bool below = x < low;
    const float rest = GridRemainder(below ? low - x : x - low, 2 * span);
    const bool back = rest >= span;
    x = (back ? 2 * span - rest : rest) + low;
    slope = below != back ? -slope : slope;
  }
  // A place on the border itself has no gradient.
  const bool between = x > 0 && x < size - 1;
  slope = between ? slope : 0;
  return between ? x : x > 0 ? size - 1 : 0;
}

// Fills the axis for some places: `grid` has the dimension's numbers, `step` apart.
inline void FindPlaces(const GridCall &call, int64_t d, const float *grid, int64_t count, GridAxis &axis) {
  const float size = static_cast<float>(call.sizes[d]);
  const float scale = (call.aligned ? size - 1 : size) / 2;
  const int64_t taps = call.Taps();
  float x[GRID_BLOCK], at[4][GRID_BLOCK];
  for (int64_t i = 0; i < count; i++) {
    const float from = grid[i * call.dims] + 1;
    // PyTorch's kernel of images fuses multiplication and addition, that of volumes doesn't. The product of floats is exact in doubles.
    const double product = static_cast<double>(from) * scale;
    const float pixel = call.aligned    ? static_cast<float>(product)
                        : call.dims == 3 ? static_cast<float>(product) - 0.5f
                                         : static_cast<float>(product - 0.5);
    axis.factor[i] = 1;
    x[i] = call.mode == GridCall::CUBIC ? pixel : GridInside(pixel, size, call, axis.factor[i]);
    axis.factor[i] *= scale;
  }
  for (int64_t i = 0; i < count; i++) {
    if (call.mode == GridCall::NEAREST) {
      at[0][i] = std::nearbyint(x[i]);
      axis.weight[0][i] = 1;
      continue;
    }
    const float before = std::floor(x[i]), part = x[i] - before;
    if (call.mode == GridCall::LINEAR) {
      at[0][i] = before;
      at[1][i] = before + 1;
      axis.weight[0][i] = 1 - part;
      axis.weight[1][i] = part;
      axis.slope[0][i] = -1;
      axis.slope[1][i] = 1;
      continue;
    }
    // Keys' cubic convolution.
    constexpr float A = -0.75f;
    const auto near = [](float t) { return ((A + 2) * t - (A + 3)) * t * t + 1; };
    const auto far = [](float t) { return ((A * t - 5 * A) * t + 8 * A) * t - 4 * A; };
    const auto nearSlope = [](float t) { return (3 * (A + 2) * t - 2 * (A + 3)) * t; };
    const auto farSlope = [](float t) { return (3 * A * t - 10 * A) * t + 8 * A; };
    axis.weight[0][i] = far(part + 1);
    axis.weight[1][i] = near(part);
    axis.weight[2][i] = near(1 - part);
    axis.weight[3][i] = far(2 - part);
    axis.slope[0][i] = farSlope(part + 1);
    axis.slope[1][i] = nearSlope(part);
    axis.slope[2][i] = -nearSlope(1 - part);
    axis.slope[3][i] = -farSlope(2 - part);
    float none = 1;
    for (int64_t k = 0; k < 4; k++) at[k][i] = GridInside(before + static_cast<float>(k - 1), size, call, none);
  }
  for (int64_t k = 0; k < taps; k++)
    for (int64_t i = 0; i < count; i++)
      // NaN is nowhere.
      axis.at[k][i] = at[k][i] >= 0 && at[k][i] <= size - 1 ? static_cast<int32_t>(at[k][i]) : -1;
}

// All combinations of pixels for some places: one along each dimension.
struct GridPixels {
  int64_t count = 0;
  // Where a pixel lies in its image; 0 for one that isn't there, and then `there` is 0.
  int32_t offset[64][GRID_BLOCK], there[64][GRID_BLOCK];
  float weight[64][GRID_BLOCK];
  GridAxis axes[3];

  void Find(const GridCall &call, const float *grid, int64_t places) {
    // The grid has x first, the input's dimensions end with it.
    for (int64_t d = 0; d < call.dims; d++) FindPlaces(call, d, grid + call.dims - 1 - d, places, axes[d]);
    const int64_t taps = call.Taps();
    count = 1;
    for (int64_t d = 0; d < call.dims; d++) count *= taps;
    for (int64_t k = 0; k < count; k++) {
      int32_t *at = offset[k], *is = there[k];
      for (int64_t i = 0; i < places; i++) at[i] = 0, is[i] = 1, weight[k][i] = 1;
      int64_t rest = count, chosen = k;
      for (int64_t d = 0; d < call.dims; d++) {
        rest /= taps;
        const int64_t tap = chosen / rest;
        chosen %= rest;
        const int32_t *own = axes[d].at[tap], size = static_cast<int32_t>(call.sizes[d]);
        for (int64_t i = 0; i < places; i++) {
          is[i] = is[i] & (own[i] >= 0);
          at[i] = at[i] * size + own[i];
          weight[k][i] *= axes[d].weight[tap][i];
        }
      }
      for (int64_t i = 0; i < places; i++) at[i] = is[i] ? at[i] : 0;
    }
  }
};

inline GridPixels &GridScratch() {
  thread_local GridPixels pixels;
  return pixels;
}

// The values at the places. Units are blocks of places, those of each image by themselves.
bool GridSample(const Call &c) {
  const GridCall call(c.p);
  const int64_t blocks = (call.places + GRID_BLOCK - 1) / GRID_BLOCK, pixels = call.Pixels();
  GridPixels &found = GridScratch();
  for (int64_t unit = call.from; unit < call.end; unit++) {
    const int64_t image = unit / blocks, begin = unit % blocks * GRID_BLOCK, count = std::min(GRID_BLOCK, call.places - begin);
    found.Find(call, c.To<float>(2) + (image * call.places + begin) * call.dims, count);
    for (int64_t channel = 0; channel < call.channels; channel++) {
      const int64_t plane = image * call.channels + channel;
      const float *x = c.To<float>(1) + plane * pixels;
      float *out = c.To<float>(0) + plane * call.places + begin;
      float sums[GRID_BLOCK] = {};
      for (int64_t k = 0; k < found.count; k++) {
        const int32_t *at = found.offset[k], *is = found.there[k];
        const float *weight = found.weight[k];
        // A place that is NaN has such weights.
        for (int64_t i = 0; i < count; i++) {
          const float own = x[at[i]];
          sums[i] += (is[i] ? own : 0) * weight[i];
        }
      }
      std::copy_n(sums, count, out);
    }
  }
  return true;
}

// The gradient of the input, from that of the result and the grid. Units are planes: the channels of all images.
bool GridSampleInputGrad(const Call &c) {
  const GridCall call(c.p);
  const int64_t pixels = call.Pixels();
  GridPixels &found = GridScratch();
  std::fill_n(c.To<float>(0) + call.from * pixels, (call.end - call.from) * pixels, 0.0f);
  for (int64_t first = call.from, next; first < call.end; first = next) {
    const int64_t image = first / call.channels;
    next = std::min(call.end, (image + 1) * call.channels);
    for (int64_t begin = 0; begin < call.places; begin += GRID_BLOCK) {
      const int64_t count = std::min(GRID_BLOCK, call.places - begin);
      found.Find(call, c.To<float>(2) + (image * call.places + begin) * call.dims, count);
      for (int64_t plane = first; plane < next; plane++) {
        const float *g = c.To<float>(1) + plane * call.places + begin;
        float *out = c.To<float>(0) + plane * pixels;
        for (int64_t k = 0; k < found.count; k++)
          for (int64_t i = 0; i < count; i++)
            if (found.there[k][i]) out[found.offset[k][i]] += found.weight[k][i] * g[i];
      }
    }
  }
  return true;
}

// The gradient of the grid, from that of the result, the input and the grid. Units as of GridSample.
bool GridSampleGridGrad(const Call &c) {
  const GridCall call(c.p);
  const int64_t blocks = (call.places + GRID_BLOCK - 1) / GRID_BLOCK, pixels = call.Pixels(), taps = call.Taps();
  GridPixels &found = GridScratch();
  for (int64_t unit = call.from; unit < call.end; unit++) {
    const int64_t image = unit / blocks, begin = unit % blocks * GRID_BLOCK, count = std::min(GRID_BLOCK, call.places - begin);
    const int64_t at = (image * call.places + begin) * call.dims;
    found.Find(call, c.To<float>(3) + at, count);
    float totals[3][GRID_BLOCK] = {};
    for (int64_t k = 0; k < found.count; k++) {
      float along[GRID_BLOCK] = {};
      const int32_t *offset = found.offset[k], *is = found.there[k];
      for (int64_t channel = 0; channel < call.channels; channel++) {
        const int64_t plane = image * call.channels + channel;
        const float *x = c.To<float>(2) + plane * pixels, *g = c.To<float>(1) + plane * call.places + begin;
        for (int64_t i = 0; i < count; i++) {
          const float own = x[offset[i]] * g[i];
          along[i] += is[i] ? own : 0;
        }
      }
      // All weights but that of one dimension, whose slope counts.
      for (int64_t d = 0; d < call.dims; d++) {
        int64_t rest = found.count, chosen = k;
        for (int64_t e = 0; e < call.dims; e++) {
          rest /= taps;
          const int64_t tap = chosen / rest;
          chosen %= rest;
          const float *factor = e == d ? found.axes[e].slope[tap] : found.axes[e].weight[tap];
          if (e == 0)
            for (int64_t i = 0; i < count; i++) found.weight[k][i] = factor[i];
          else
            for (int64_t i = 0; i < count; i++) found.weight[k][i] *= factor[i];
        }
        for (int64_t i = 0; i < count; i++) totals[d][i] += along[i] * found.weight[k][i];
      }
    }
    float *out = c.To<float>(0) + at;
    for (int64_t d = 0; d < call.dims; d++)
      for (int64_t i = 0; i < count; i++) out[i * call.dims + call.dims - 1 - d] = totals[d][i] * found.axes[d].factor[i];
  }
  return true;
}
