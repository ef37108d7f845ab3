// Kernels for all processors.
#include "common.h"

namespace layerwise::baseline {
#define LANES 4
#include "kernels.h"
}  // namespace layerwise::baseline
