// Products of which one factor is bfloat16 in memory: the other may be rounded to it, where that is faster.
#pragma once
#if defined(ATTNC_AMX_EMULATED) || (defined(__AMX_TILE__) && defined(__AMX_BF16__) && defined(__AVX512BF16__) && defined(__linux__))
#include "amx.h"
#else
#include "functions.h"
#include "matmul.h"
#include "pairs.h"
#include "rows.h"

namespace attnc {

// Without registers for it nothing is gained: x stays as it is.
struct Tiles {
  Tiles() {}
  ~Tiles() {}
};

constexpr int VECTORS = 1;
ATTNC_INLINE void awake() {}
template <class L> ATTNC_INLINE L narrow_exp2_(L x) { return exp2_(x); }
template <class L> ATTNC_INLINE L narrow_exp_(L x) { return exp_(x); }

// Rows of memory as columns of x.
template <int BM>
ATTNC_ONCE void read_pairs(uint32_t*, float* x, const bfloat16* from, int64_t row, int64_t step, int rows, int columns) {
  read_rows<BM>(from, row, step, rows, columns, (float(*)[BM])x);
}

template <int BM, int DEPTH> struct Packed {
  float* const rows;
  Packed(float* x, const bfloat16* from, int64_t row, int64_t step, int count, int columns) : rows(x) {
    read_pairs<BM>(nullptr, x, from, row, step, count, columns);
  }
  Packed(float* x) : rows(x) {}
  Packed(float* x, int64_t) : rows(x) {}
  template <bool ODD, class L> ATTNC_INLINE void put(int k, int m, L x, L&, Half<ODD>) { attnc::put(rows + k * BM + m, x); }
  template <class L> ATTNC_INLINE void end(int, int, L) {}
};

// Nothing has to be turned.
struct Turned {
  explicit Turned(bool) {}
};
struct Spot { Turned* in = nullptr; int64_t slot = 0; };

template <int BM, class W>
ATTNC_ONCE void narrow_product(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep, int64_t out_row) {
  product<BM>(rows, depth, out, w, w_row, w_depth, x, keep, out_row);
}

template <int BM, int DEPTH, class W>
ATTNC_INLINE void matmul(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const Packed<BM, DEPTH>& x, const float* keep = nullptr, int64_t out_row = BM, Spot = {}) {
  narrow_product<BM>(rows, depth, out, w, w_row, w_depth, x.rows, keep, out_row);
}

}  // namespace attnc
#endif

namespace attnc {

template <class F> ATTNC_INLINE void by_pairs(int rows, F row) {
  in_pairs(rows, [] { awake(); }, row);
}

}  // namespace attnc
