// Nodes of linear algebra: the steps that compute them.
#pragma once

#include "reader.h"

namespace layerwise {

// Matrices are the last two dimensions; all others are a batch.
inline bool Plan::Reader::ReadMatrices(Code code) {
  const Value a = In(0);
  const int last = a.shape.rank - 1;
  if (a.type != Type::FLOAT || last < 1 || a.shape.Count() == 0) return false;
  const int64_t m = a.shape.sizes[last - 1], n = a.shape.sizes[last], k = std::min(m, n);
  const int64_t batch = a.shape.Count() / (m * n);
  if (code != Code::Qr && code != Code::Svd && code != Code::LuFactor && m != n) return false;
  // A matrix may be singular, or not finite.
  plan_.refuses_ = true;
  // Multiply-adds of a factorization. TensorFlow takes longer to begin: measured with matrices of 16 to 512.
  const double begun = 1 / static_cast<double>(k);
  const auto spend = [this, begun](int64_t products) { Spend(products, 0.06 + 4 * begun, 0.06 + 17 * begun); };
  const auto rotate = [this, begun](int64_t products) { Spend(products, 0.2, 0.06 + 17 * begun); };
  switch (code) {
    case Code::MatrixInverse:
    case Code::Cholesky: {
      const bool inverse = code == Code::MatrixInverse;
      const int32_t out = New(Type::FLOAT, a.shape);
      Parameters({batch, n});
      Add(inverse ? kernels_.matrixInverse : kernels_.cholesky, {{out}, {inputs_[0]}}, 1);
      spend(batch * n * n * (inverse ? 4 * n / 3 + 8 : n / 6 + 8));
      Divide(batch, 0, {n * n * 4, n * n * 4});
      return true;
    }
    case Code::MatrixSolve:
    case Code::MatrixTriangularSolve: {
      const bool triangular = code == Code::MatrixTriangularSolve;
      const Value b = In(1);
      if (b.type != Type::FLOAT || b.shape.rank != a.shape.rank || b.shape.Count() == 0) return false;
      for (int d = 0; d < last; d++)
        if (b.shape.sizes[d] != a.shape.sizes[d]) return false;
      const int64_t columns = b.shape.sizes[last];
      const int32_t out = New(Type::FLOAT, b.shape);
      Parameters({batch, n, columns, triangular && attributes_[0] != 0, 0, columns});
      Add(triangular ? kernels_.triangularSolve : kernels_.matrixSolve, {{out}, {inputs_[0]}, {inputs_[1]}}, 1);
      if (triangular) Spend(batch * n * n * (columns / 2 + 4), 0.06, 0.15);
      else spend(batch * n * n * (n / 3 + columns + 8));
      // Each range of columns needs a copy of the triangle.
      if (triangular && batch == 1 && columns > n / 4) DivideRange(columns, 32, 4);
      else Divide(batch, 0, {n * columns * 4, n * n * 4, n * columns * 4});
      return true;
    }
    case Code::LuFactor: {
      Shape shape = a.shape;
      shape.sizes[--shape.rank - 1] = k;
      const int32_t out = New(Type::FLOAT, a.shape), pivots = New(Type::INT32, shape);
      Parameters({batch, m, n, attributes_[0] != 0});
      Add(kernels_.luFactor, {{out}, {pivots}, {inputs_[0]}}, 2);
      // TensorFlow's nodes compute a row at a time.
      Spend(batch * m * n * (k / 3 + 8), 0.06 + 4 * begun, 5);
      Divide(batch, 0, {m * n * 4, k * 4, m * n * 4});
      return true;
    }
    case Code::LogMatrixDeterminant: {
      Shape shape = a.shape;
      shape.rank -= 2;
      const int32_t sign = New(Type::FLOAT, shape), log = New(Type::FLOAT, shape);
      Parameters({batch, n});
      Add(kernels_.logMatrixDeterminant, {{sign}, {log}, {inputs_[0]}}, 2);
      spend(batch * n * n * (n / 3 + 8));
      Divide(batch, 0, {4, 4, n * n * 4});
      return true;
    }
    case Code::SelfAdjointEigV2: {
      Shape shape = a.shape;
      shape.rank--;
      const int32_t values = New(Type::FLOAT, shape), vectors = New(Type::FLOAT, a.shape);
      Parameters({batch, n});
      Add(kernels_.selfAdjointEig, {{values}, {vectors}, {inputs_[0]}}, 2);
      rotate(batch * n * n * (40 * n + 8));
      Divide(batch, 0, {n * 4, n * n * 4, n * n * 4});
      return true;
    }
    case Code::Svd: {
      Shape s = a.shape, u = a.shape, v = a.shape;
      s.rank--;
      s.sizes[last - 1] = u.sizes[last] = v.sizes[last] = k;
      v.sizes[last - 1] = n;
      const int32_t values = New(Type::FLOAT, s), left = New(Type::FLOAT, u), right = New(Type::FLOAT, v);
      Parameters({batch, m, n});
      Add(kernels_.svd, {{values}, {left}, {right}, {inputs_[0]}}, 3);
      rotate(batch * m * n * (40 * k + 8));
      Divide(batch, 0, {k * 4, m * k * 4, n * k * 4, m * n * 4});
      return true;
    }
    default: {
      Shape q = a.shape, r = a.shape;
      q.sizes[last] = k;
      r.sizes[last - 1] = k;
      const int32_t outQ = New(Type::FLOAT, q), outR = New(Type::FLOAT, r);
      Parameters({batch, m, n});
      Add(kernels_.qr, {{outQ}, {outR}, {inputs_[0]}}, 2);
      rotate(batch * m * n * (2 * k + 8));
      Divide(batch, 0, {m * k * 4, k * n * 4, m * n * 4});
      return true;
    }
  }
}

// The order in which exchanges of rows leave as many as the attribute says.
inline bool Plan::Reader::ReadPivotOrder() {
  const Value pivots = In(0);
  Shape shape = pivots.shape;
  if (pivots.type != Type::INT32 || shape.rank == 0 || shape.Count() == 0) return false;
  const int64_t k = shape.sizes[shape.rank - 1], batch = shape.Count() / k, rows = attributes_[0];
  // Each exchange is that of a row.
  if (k > rows) return false;
  shape.sizes[shape.rank - 1] = rows;
  const int32_t out = New(Type::INT32, shape);
  Parameters({batch, k, rows});
  Add(kernels_.pivotOrder, {{out}, {inputs_[0]}}, 1);
  Bind(inputs_[0], 1, rows + 1);
  Spend(batch * rows, 2, 100);
  Divide(batch, 0, {rows * 4, k * 4});
  return true;
}

}  // namespace layerwise
