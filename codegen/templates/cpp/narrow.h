// Products of which one factor is bfloat16 in memory: the other may be rounded to it, where that is faster.
#pragma once
#if defined(ATTNC_AMX_EMULATED) || (defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__))
#include "amx.h"
#else
#include "matmul.h"

namespace attnc {

// Without registers for it nothing is gained: x stays as it is.
struct Tiles {
  Tiles() {}
  ~Tiles() {}
};

template <int BM, int DEPTH> struct Packed {
  const float* rows;
  Packed(const float* x, int64_t) : rows(x) {}
};

template <int BM, int DEPTH, class W, class... Rest>
inline void matmul(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const Packed<BM, DEPTH>& x, Rest... rest) {
  matmul<BM>(rows, depth, out, w, w_row, w_depth, x.rows, rest...);
}

}  // namespace attnc
#endif
