// Nodes of recurrent layers: the steps that compute them.
#pragma once

#include "reader.h"

namespace layerwise {

// Attributes: how many steps there are, and of each how many sequences are running; whether a plain layer has ReLU.
inline bool Plan::Reader::ReadSequences(Code code) {
  const bool backward = code == Code::LstmSequenceGrad || code == Code::GruSequenceGrad || code == Code::RnnSequenceGrad;
  const bool lstm = code == Code::LstmSequence || code == Code::LstmSequenceGrad;
  const bool gru = code == Code::GruSequence || code == Code::GruSequenceGrad;
  const int64_t gates = lstm ? 4 : gru ? 3 : 1;
  const Words sizes = attributes_.List(0);
  Require(sizes.count > 0);
  std::vector<int64_t> runs;
  int64_t rows = 0;
  for (int64_t t = 0; t < sizes.count; t++) {
    Require(sizes[t] > 0 && (t == 0 || sizes[t] <= sizes[t - 1]));
    rows += sizes[t];
    if (t > 0 && sizes[t] == sizes[t - 1]) runs[runs.size() - 2]++;
    else runs.insert(runs.end(), {1, sizes[t]});
  }
  Require(rows <= MAX_ELEMENTS);
  const int64_t batch = sizes[0];
  // The weight comes first, then h at the beginning, or of every row.
  const Value weight = In(0);
  if (weight.type != Type::FLOAT || weight.shape.rank != 2) return false;
  const int64_t n = weight.shape.sizes[1];
  Require(n > 0 && weight.shape.sizes[0] == gates * n);
  Shape row, state, gate;
  row.rank = state.rank = gate.rank = 2;
  row.sizes[0] = gate.sizes[0] = rows;
  state.sizes[0] = batch;
  row.sizes[1] = state.sizes[1] = n;
  gate.sizes[1] = gates * n;
  const auto panels = [&] {
    const int64_t depth = backward ? gates * n : n, columns = backward ? n : gates * n;
    Shape shape;
    shape.rank = 2;
    // Panels of any instruction set fit into this.
    shape.sizes[0] = RoundUp(columns, 32);
    shape.sizes[1] = depth;
    const int32_t packed = New(Type::FLOAT, shape);
    values_[packed].hidden = true;
    Parameters({0, columns, depth, columns, !backward});
    Add(kernels_.packPanels, {{packed}, {inputs_[0]}}, 1);
    Spend(depth * columns, 0.2);
    DivideRange(columns, 32, 0);
    return packed;
  };
  const auto finish = [&] {
    Spend(rows * gates * n * n, 0.025);
    Spend(rows * gates * n, 1.5);
    DivideRange(batch, 1, 0);
  };
  const auto parameters = [&] {
    auto &p = Parameters();
    p.insert(p.end(), {0, batch, n, static_cast<int64_t>(runs.size() / 2)});
    p.insert(p.end(), runs.begin(), runs.end());
  };
  const auto make = [this](const Shape &shape) { return New(Type::FLOAT, shape); };
  const auto require = [&](int from, int to, const Shape &shape) {
    for (int i = from; i < to; i++) RequireFloats(i, shape.Count());
  };
  const bool relu = !lstm && !gru && attributes_[sizes.count + 1] != 0;
  if (lstm && !backward) {
    Require(inputCount_ == 4);
    require(1, 2, gate), require(2, 4, state);
    const int32_t y = make(row), h = make(state), c = make(state), i = make(row), f = make(row), g = make(row), o = make(row), cells = make(row),
                  t = make(row), packed = panels();
    parameters();
    Add(kernels_.lstmForward, {{y}, {h}, {c}, {i}, {f}, {g}, {o}, {cells}, {t}, {packed}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}}, 9);
  } else if (lstm) {
    Require(inputCount_ == 11);
    require(1, 6, row), require(6, 7, state), require(7, 8, row), require(8, 9, state), require(9, 10, row), require(10, 11, state);
    const int32_t d = make(gate), h = make(state), c = make(state), packed = panels();
    parameters();
    Add(kernels_.lstmBackward,
        {{d}, {h}, {c}, {packed}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}, {inputs_[5]}, {inputs_[6]}, {inputs_[7]}, {inputs_[8]},
         {inputs_[9]}, {inputs_[10]}},
        3);
  } else if (gru && !backward) {
    Require(inputCount_ == 4);
    require(1, 2, gate), require(2, 3, state), RequireFloats(3, 3 * n);
    const int32_t y = make(row), h = make(state), r = make(row), z = make(row), c = make(row), s = make(row), packed = panels();
    parameters();
    Add(kernels_.gruForward, {{y}, {h}, {r}, {z}, {c}, {s}, {packed}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}}, 6);
  } else if (gru) {
    Require(inputCount_ == 9);
    require(1, 2, state), require(2, 7, row), require(7, 8, state), require(8, 9, row);
    const int32_t d = make(gate), h = make(state), c = make(row), packed = panels();
    parameters();
    Add(kernels_.gruBackward,
        {{d}, {h}, {c}, {packed}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}, {inputs_[4]}, {inputs_[5]}, {inputs_[6]}, {inputs_[7]}, {inputs_[8]}},
        3);
  } else if (!backward) {
    Require(inputCount_ == 3);
    require(1, 2, row), require(2, 3, state);
    const int32_t y = make(row), h = make(state), packed = panels();
    parameters();
    Add(kernels_.rnnForward[relu], {{y}, {h}, {packed}, {inputs_[1]}, {inputs_[2]}}, 2);
  } else {
    Require(inputCount_ == 4);
    require(1, 2, row), require(2, 3, state), require(3, 4, row);
    const int32_t d = make(row), h = make(state), packed = panels();
    parameters();
    Add(kernels_.rnnBackward[relu], {{d}, {h}, {packed}, {inputs_[1]}, {inputs_[2]}, {inputs_[3]}}, 2);
  }
  finish();
  return true;
}

}  // namespace layerwise
