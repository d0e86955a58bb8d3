// Products on tile registers as functions that Python can call.
#include "attnc.h"

using namespace attnc;

extern "C" void multiply(const uint16_t* a, const uint16_t* b, float* c) {
  const Tiles tiles;
  tile_load<0>(c, 64), tile_load<1>(a, 64), tile_load<2>(b, 64);
  tile_multiply<0, 1, 2>();
  tile_store<0>(c, 64);
}

template <int BM, class W>
void product(const int64_t* n, float* out, const W* w, float* x, const float* keep) {
  const Tiles tiles;
  const Packed<BM, 320> packed(x, n[1]);
  if constexpr (__is_same(W, float)) matmul<BM>(n[0], n[1], out, w, n[2], n[3], packed, keep, n[4]);
  else matmul<BM>(n[0], n[1], out, w, n[2], n[3], packed, keep);
}

#define COLUMNS(BM) \
  extern "C" void whole_##BM(const int64_t* n, float* out, const float* w, float* x, const float* keep) { product<BM>(n, out, w, x, keep); } \
  extern "C" void narrow_##BM(const int64_t* n, float* out, const bfloat16* w, float* x, const float* keep) { product<BM>(n, out, w, x, keep); }
COLUMNS(16) COLUMNS(48) COLUMNS(64)
