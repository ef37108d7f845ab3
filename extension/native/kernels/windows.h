// Maxima of any windows, part of kernels.h.

// The place of each window's maximum: the first one, or the last NaN. Parameters: rows, numbers in a row, windows, cells of each.
bool WindowMaxima(const Call &c) {
  int32_t *out = c.To<int32_t>(0);
  const float *x = c.To<float>(1);
  const int32_t *cells = c.To<int32_t>(2);
  const int64_t n = c.p[1], windows = c.p[2], each = c.p[3];
  if (!AreInside(cells, windows * each, n)) return false;
  // Some windows side by side: each comparison waits for the one before it.
  constexpr int64_t TOGETHER = 8;
  for (int64_t r = 0; r < c.p[0]; r++, x += n, out += windows)
    for (int64_t begin = 0; begin < windows; begin += TOGETHER) {
      const int64_t some = std::min(TOGETHER, windows - begin);
      const int32_t *own = cells + begin * each;
      float most[TOGETHER];
      int32_t where[TOGETHER];
      for (int64_t w = 0; w < some; w++) most[w] = x[where[w] = own[w * each]];
      for (int64_t i = 1; i < each; i++)
        for (int64_t w = 0; w < some; w++) {
          const int32_t at = own[w * each + i];
          const float now = x[at];
          const bool more = (now > most[w]) | (now != now);
          most[w] = more ? now : most[w];
          where[w] = more ? at : where[w];
        }
      std::copy_n(where, some, out + begin);
    }
  return true;
}
