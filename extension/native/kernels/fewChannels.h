// Convolutions that read few channels, such as those of a network's first layer, part of kernels.h. Images are copied with zeros
// around them; what a tap reads is then found by adding an offset, so patches needn't be copied.

// Images with zeros around: taps are read without asking whether they are in the padding.
class Padded {
 public:
  // Of the images that some positions are in.
  Padded(const Taps &taps, const float *x, int64_t from, int64_t to) : taps_(taps) {
    const int64_t each = taps.positions[0] * taps.positions[1] * taps.positions[2];
    first_ = from / each;
    const int64_t images = (to - 1) / each + 1 - first_, channels = taps.channels, *size = taps.input;
    int64_t low[3], high[3];
    for (int d = 0; d < 3; d++) {
      low[d] = high[d] = taps.Tap(0)[d];
      for (int64_t t = 1; t < taps.count; t++) {
        low[d] = std::min(low[d], taps.Tap(t)[d]);
        high[d] = std::max(high[d], taps.Tap(t)[d]);
      }
      sizes_[d] = (taps.positions[d] - 1) * taps.stride[d] + high[d] - low[d] + 1;
    }
    offsets_ = Kept(0, taps.count * channels);
    for (int64_t t = 0; t < taps.count; t++) {
      const int64_t *tap = taps.Tap(t);
      const int64_t at = ((tap[0] - low[0]) * sizes_[1] + tap[1] - low[1]) * sizes_[2] + tap[2] - low[2];
      for (int64_t c = 0; c < channels; c++) offsets_[t * channels + c] = at * channels + c;
    }
    const int64_t row = sizes_[2] * channels;
    float *copy = reinterpret_cast<float *>(Kept(1, (images * sizes_[0] * sizes_[1] * row + 1) / 2));
    values_ = copy;
    const int64_t begin = std::clamp<int64_t>(-low[2], 0, sizes_[2]);
    const int64_t end = std::clamp<int64_t>(size[2] - low[2], begin, sizes_[2]);
    for (int64_t i = 0; i < images; i++)
      for (int64_t z = low[0]; z < low[0] + sizes_[0]; z++)
        for (int64_t y = low[1]; y < low[1] + sizes_[1]; y++, copy += row) {
          std::fill_n(copy, row, 0.0f);
          if (z < 0 || z >= size[0] || y < 0 || y >= size[1]) continue;
          const float *source = x + ((((first_ + i) * size[0] + z) * size[1] + y) * size[2] + begin + low[2]) * taps.pitch;
          float *to = copy + begin * channels;
          if (taps.pitch == channels) std::copy_n(source, (end - begin) * channels, to);
          else
            for (int64_t p = begin; p < end; p++, source += taps.pitch, to += channels) std::copy_n(source, channels, to);
        }
  }

  // Where the first position of a line begins to read. Lines of all images are counted one after the other.
  const float *Line(int64_t line) const {
    const int64_t y = line % taps_.positions[1], rest = line / taps_.positions[1], z = rest % taps_.positions[0];
    const int64_t image = rest / taps_.positions[0] - first_;
    return values_ + ((image * sizes_[0] + z * taps_.stride[0]) * sizes_[1] + y * taps_.stride[1]) * sizes_[2] * taps_.channels;
  }

  // From one position of a line to the next.
  int64_t step() const { return taps_.stride[2] * taps_.channels; }
  int64_t width() const { return taps_.positions[2]; }

  // For each channel at each tap, where it lies from the beginning on.
  const int64_t *offsets() const { return offsets_; }

 private:
  static int64_t *Kept(int which, int64_t count) {
    thread_local std::vector<int64_t> pieces[2];
    // Pieces beyond 8 MB aren't kept for smaller ones.
    const int64_t size = static_cast<int64_t>(pieces[which].size());
    if (size < count || size > std::max<int64_t>(count, 1 << 20)) pieces[which] = std::vector<int64_t>(count);
    return pieces[which].data();
  }

  const Taps &taps_;
  int64_t first_, sizes_[3], *offsets_;
  const float *values_;
};

// Rows of a left matrix that begin where positions do, and whose numbers lie at the same offsets in each.
template <int ROWS, int VECTORS>
void TileOfOffsets(const float *const *rows, const int64_t *offset, const int64_t *end, const float *b, const Place &out, bool add) {
  PrefetchTile<ROWS, VECTORS>(out);
  Vector sums[ROWS][VECTORS];
  Clear(sums);
  const float *from[ROWS];
  for (int r = 0; r < ROWS; r++) from[r] = rows[r];
  for (; offset < end; offset++, b += TILE_COLUMNS) {
    const int64_t at = *offset;
    Vector y[VECTORS];
    for (int v = 0; v < VECTORS; v++) y[v] = Load(b + v * LANES);
    for (int r = 0; r < ROWS; r++) {
      const Vector x = Splat(from[r][at]);
      for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
    }
  }
  StoreTile(sums, out, add);
}

struct Offsets {
  const float *const *rows;
  const int64_t *begin, *end;

  template <int ROWS, int VECTORS>
  void Compute(const float *b, const Place &out, bool add) const {
    TileOfOffsets<ROWS, VECTORS>(rows, begin, end, b, out, add);
  }
};

// Positions of a tile: each has a general register of its own.
constexpr int64_t PATCH_ROWS = TILE_ROWS == 12 ? 2 * THIRD : TILE_ROWS;

// A matrix of a row for each position, and a column for each channel at each tap.
class Patches {
 public:
  explicit Patches(const Padded &images) : images_(images) {}

  int64_t Height(int64_t, int64_t rows) const { return std::min(PATCH_ROWS, rows); }

  Offsets Prepare(int64_t first, int64_t rows, int64_t from, int64_t terms, float *) {
    int64_t line = first / images_.width(), left = images_.width() - first % images_.width();
    const int64_t step = images_.step();
    const float *at = images_.Line(line) + (images_.width() - left) * step;
    for (int64_t r = 0; r < PATCH_ROWS; r++) {
      if (r >= rows) {
        begins_[r] = begins_[0];
        continue;
      }
      begins_[r] = at;
      at += step;
      if (--left > 0 || r + 1 >= rows) continue;
      at = images_.Line(++line);
      left = images_.width();
    }
    return {begins_, images_.offsets() + from, images_.offsets() + from + terms};
  }

 private:
  const Padded &images_;
  const float *begins_[PATCH_ROWS];
};

// The rows of all images, where the part doesn't say which.
bool ConvolveFew(const Call &c) {
  Convolution v(c.p);
  const Taps &taps = v.taps;
  if (v.part.rowEnd == 0) v.part.rowEnd = taps.images * taps.positions[0] * taps.positions[1] * taps.positions[2];
  const Filters filters = {taps, c.To<float>(2), v.filterSize, v.filterColumns, v.transposed};
  ConvolveWith(v, Patches(Padded(taps, c.To<float>(1), v.part.row, v.part.rowEnd)), filters, c.To<float>(0));
  return true;
}

// Some lines of an image's gradient, whose numbers are so far apart from one position to the next.
struct Lines {
  int64_t first, end;
  const float *gradient;
  int64_t stride;
};

// Tiles have a multiple of so many rows: a filter of 3 by 3 has 9 for each channel.
constexpr int FILTER_ROWS = TILE_ROWS == 12 ? 3 : 2;

// Adds the gradients of some channels at taps to `totals`: those are at these offsets, for one or two registers of the result's channels.
template <int ROWS, int VECTORS>
void FewTile(const Padded &images, const int64_t *offsets, const Lines &lines, float *totals, int64_t pitch) {
  const int64_t width = images.width(), step = images.step();
  const float *g = lines.gradient;
  int64_t line = lines.first, i = 0;
  while (line < lines.end) {
    Vector sums[ROWS][VECTORS];
    Clear(sums);
    for (int64_t left = TERMS; left > 0 && line < lines.end;) {
      const int64_t count = std::min(left, width - i);
      const float *from[ROWS], *begin = images.Line(line) + i * step;
      for (int r = 0; r < ROWS; r++) from[r] = begin + offsets[r];
      for (int64_t at = 0; at < count * step; at += step, g += lines.stride) {
        Vector y[VECTORS];
        for (int v = 0; v < VECTORS; v++) y[v] = Load(g + v * LANES);
        for (int r = 0; r < ROWS; r++) {
          const Vector x = Splat(from[r][at]);
          for (int v = 0; v < VECTORS; v++) sums[r][v] += x * y[v];
        }
      }
      left -= count;
      i += count;
      if (i == width) i = 0, line++;
    }
    for (int r = 0; r < ROWS; r++)
      for (int v = 0; v < VECTORS; v++) {
        float *to = totals + r * pitch + v * LANES;
        Store(to, Load(to) + sums[r][v]);
      }
  }
}

// A tile of up to TILE_ROWS rows, which may add to rows behind these.
template <int VECTORS>
void AnyFewTile(int64_t rows, const Padded &images, const int64_t *offsets, const Lines &lines, float *totals, int64_t pitch) {
  if (rows > TILE_ROWS - FILTER_ROWS) FewTile<TILE_ROWS, VECTORS>(images, offsets, lines, totals, pitch);
  else if (rows > 2 * FILTER_ROWS) FewTile<3 * FILTER_ROWS, VECTORS>(images, offsets, lines, totals, pitch);
  else if (rows > FILTER_ROWS) FewTile<2 * FILTER_ROWS, VECTORS>(images, offsets, lines, totals, pitch);
  else FewTile<FILTER_ROWS, VECTORS>(images, offsets, lines, totals, pitch);
}

// The gradient of filters that read few channels, of some of their rows. Behind the convolution's parameters: whether each image has
// a gradient of its own.
bool FilterGradientFew(const Call &c) {
  const Convolution v(c.p);
  const Taps &taps = v.taps;
  const bool separate = v.more[0] != 0;
  const int64_t lines = taps.positions[0] * taps.positions[1], each = lines * taps.positions[2], width = v.part.columnEnd;
  const int64_t rows = v.part.rowEnd - v.part.row, all = taps.count * taps.channels;
  const int64_t tiles = (rows + TILE_ROWS - 1) / TILE_ROWS, high = RoundUp((rows + tiles - 1) / tiles, FILTER_ROWS);
  const int64_t reached = rows + TILE_ROWS, pitch = RoundUp(width, LANES);
  const bool copies = width != pitch;
  const Padded images(taps, c.To<float>(1), 0, taps.images * each);
  float *totals = Scratch(reached * pitch + (copies ? each * pitch : 0), 0), *copy = totals + reached * pitch;
  int64_t *offsets = reinterpret_cast<int64_t *>(Scratch(2 * reached, 1));
  for (int64_t r = 0; r < reached; r++) offsets[r] = images.offsets()[v.part.row + std::min(r, rows - 1)];
  float *out = c.To<float>(0) + v.part.row * v.pitch;
  for (int64_t image = 0; image < taps.images; image++) {
    Lines own = {image * lines, (image + 1) * lines, c.To<float>(2) + image * each * v.pitch, v.pitch};
    if (copies) {
      // What follows a position's numbers may be another group's, or lie behind the tensor.
      for (int64_t i = 0; i < each; i++)
        for (int64_t q = 0; q < pitch; q++) copy[i * pitch + q] = q < width ? own.gradient[i * v.pitch + q] : 0.0f;
      own = {own.first, own.end, copy, pitch};
    }
    if (image == 0 || separate) std::fill_n(totals, reached * pitch, 0.0f);
    for (int64_t q = 0; q < pitch; q += TILE_COLUMNS) {
      const Lines part = {own.first, own.end, own.gradient + q, own.stride};
      for (int64_t r = 0; r < rows; r += high) {
        float *to = totals + r * pitch + q;
        if (pitch - q > LANES) AnyFewTile<2>(std::min(high, rows - r), images, offsets + r, part, to, pitch);
        else AnyFewTile<1>(std::min(high, rows - r), images, offsets + r, part, to, pitch);
      }
    }
    if (!separate && image + 1 < taps.images) continue;
    // Gradients of single images lie side by side.
    const int64_t stride = separate ? width : v.pitch;
    for (int64_t r = 0; r < rows; r++) std::copy_n(totals + r * pitch, width, out + r * stride);
    if (separate) out += all * width;
  }
  return true;
}
