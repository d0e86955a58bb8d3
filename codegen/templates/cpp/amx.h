// The matrix products of a tile on tile registers, which multiply bfloat16 and add up in 32 bits:
// out[r][m] = sum over k of w(r, k) * x[k][m], in blocks of 32 rows and 32 columns. 16 positions of k that are pairs are
// a register's row; what is left over at the ends is filled up with zeros.
#pragma once
#include "matmul.h"
#if defined(ATTNC_AMX_EMULATED)
#include "amx_emulated.h"
#else
#include "amx_tiles.h"
#endif

namespace attnc {

// Two vectors as bfloat16, the first in the low half; to nearest, ties to even.
ATTNC_INLINE Full<uint16_t> rounded(Full<float> low, Full<float> high) {
  Full<uint16_t> both;
  __asm__("vcvtne2ps2bf16 %1, %2, %0" : "=v"(both) : "v"(low), "v"(high));
  return both;
}

// Two rows as bfloat16 side by side, element by element; a row is 0 where fewer than two are left.
template <class S> ATTNC_INLINE Full<uint32_t> paired(const S* first, int64_t row, int64_t left) {
  const Full<float> low = left > 0 ? row_of<float>(first) : Full<float>{}, high = left > 1 ? row_of<float>(first + row) : Full<float>{};
  Full<uint16_t> order;
  for (int i = 0; i < 16; ++i) order[2 * i] = i, order[2 * i + 1] = 16 + i;
  return (Full<uint32_t>)__builtin_shuffle(rounded(low, high), order);
}

inline __attribute__((noinline)) void pack(uint32_t* to, int64_t columns, const float* x, int64_t depth) {
  for (int64_t k = 0; k < (depth + 31) / 32 * 32; k += 2, to += columns)
    for (int64_t m = 0; m < columns; m += 16) *(Full<uint32_t>*)(to + m) = paired(x + k * columns + m, columns, depth - k);
}

// x as pairs of rows, rounded once for all products that read it. `rows` is x itself.
template <int BM, int DEPTH> struct Packed {
  static constexpr int SIZE = (DEPTH + 31) / 32 * 16 * BM;
  static constexpr bool LARGE = 4 * SIZE > 32 << 10;  // for a thread's stack
  const float* rows;
  alignas(64) uint32_t own[LARGE ? 1 : SIZE];
  uint32_t* pairs;
  Packed(const Packed&) = delete;
  Packed(const float* x, int64_t depth) : rows(x), pairs(LARGE && granted ? new uint32_t[SIZE] : own) {
    if (granted) pack(pairs, BM, x, depth);
  }
  ~Packed() {
    if (LARGE && granted) delete[] pairs;
  }
};

constexpr int64_t DEEP = 256;  // values of k that a block of w has at once: 16 KB
struct Block { alignas(64) uint16_t row[32][DEEP]; };

// 16 rows of w as they are in memory, or turned where columns lie side by side, with zeros past both ends.
template <class W>
inline void copied(uint16_t (*to)[DEEP], const W* w, int64_t w_row, int64_t w_depth, int64_t rows, int64_t depth) {
  const int64_t whole = (depth + 31) / 32 * 32;
  if (w_row == 1 && rows >= 16) {
    for (int64_t k = 0; k < whole; k += 32) {
      Full<float> x[16];  // pairs, moved as 32 bits
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) x[i] = (Full<float>)paired(w + (k + 2 * i) * w_depth, w_depth, depth - k - 2 * i);
      exchanged<1, float>(x);
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) *(Full<uint16_t>*)&to[i][k] = (Full<uint16_t>)x[i];
    }
    return;
  }
  for (int64_t r = 0; r < 16; ++r) {
    int64_t k = 0;
    if (w_depth == 1 && r < rows)
      for (; k + 32 <= depth; k += 32) {
        const W* from = w + r * w_row + k;
        *(Full<uint16_t>*)&to[r][k] = rounded(row_of<float>(from), row_of<float>(from + 16));
      }
    for (; k < whole; ++k) to[r][k] = r < rows && k < depth ? stored<bfloat16>(real(w[r * w_row + k * w_depth])).bits : 0;
  }
}

// R x C registers of sums stay while both factors pass: those of w in registers 4 and 5, those of x in 6 and 7.
template <int R, int C> ATTNC_INLINE void accumulated(int64_t depth, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row) {
  tile_zero<0>(), tile_zero<1>(), tile_zero<2>(), tile_zero<3>();
  for (int64_t k = 0; k < depth; k += 32) {
    tile_load<4>(a + k, 2 * a_row);
    if (R == 2) tile_load<5>(a + k + 16 * a_row, 2 * a_row);
    tile_load<6>(b + k / 2 * b_row, 4 * b_row);
    tile_multiply<0, 4, 6>();
    if (R == 2) tile_multiply<2, 5, 6>();
    if (C == 1) continue;
    tile_load<7>(b + k / 2 * b_row + 16, 4 * b_row);
    tile_multiply<1, 4, 7>();
    if (R == 2) tile_multiply<3, 5, 7>();
  }
}

// A register of sums to its place, added to what each column keeps where something is kept.
template <int T> ATTNC_INLINE void placed(float* out, int64_t out_row, int64_t rows, const float* keep) {
  if (!keep && rows >= 16) return tile_store<T>(out, 4 * out_row);
  alignas(64) float sum[16][16];
  tile_store<T>(sum, 64);
  for (int64_t r = 0; r < min_<int64_t>(16, rows); ++r) {
    const Full<float> own = *(const Full<float>*)sum[r];
    Full<float>* place = (Full<float>*)(out + r * out_row);
    *place = keep ? fused_part(*(const Full<float>*)keep, *place, own) : own;
  }
}

inline void block(int64_t rows, int64_t depth, bool wide, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, const float* keep) {
  const bool tall = rows > 16;
  if (tall && wide) accumulated<2, 2>(depth, a, a_row, b, b_row);
  else if (tall) accumulated<2, 1>(depth, a, a_row, b, b_row);
  else if (wide) accumulated<1, 2>(depth, a, a_row, b, b_row);
  else accumulated<1, 1>(depth, a, a_row, b, b_row);
  const float* other = keep ? keep + 16 : keep;
  placed<0>(out, out_row, rows, keep);
  if (wide) placed<1>(out + 16, out_row, rows, other);
  if (tall) placed<2>(out + 16 * out_row, out_row, rows - 16, keep);
  if (tall && wide) placed<3>(out + 16 * out_row + 16, out_row, rows - 16, other);
}

// One function for all products of a kernel, for it takes long to compile. Whole blocks of bfloat16 are read where they lie.
template <class W>
__attribute__((noinline)) void on_tiles(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const uint32_t* pairs, const float* keep) {
  Block copy;
  for (int64_t r = 0; r < rows; r += 32)
    for (int64_t k = 0; k == 0 || k < depth; k += DEEP) {
      const int64_t high = min_<int64_t>(32, rows - r), deep = min_(DEEP, depth - k);
      const W* from = w + r * w_row + k * w_depth;
      const bool lies = __is_same(W, bfloat16) && w_depth == 1 && high % 16 == 0 && deep % 32 == 0;
      for (int64_t i = 0; i < high && !lies; i += 16) copied(copy.row + i, from + i * w_row, w_row, w_depth, high - i, deep);
      const uint16_t* a = lies ? (const uint16_t*)from : copy.row[0];
      for (int64_t m = 0; m < columns; m += 32) {
        const float* own = k > 0 ? ones<32, float>.values : keep ? keep + m : nullptr;
        block(high, deep, m + 32 <= columns, out + r * out_row + m, out_row, a, lies ? w_row : DEEP, pairs + k / 2 * columns + m, columns, own);
      }
    }
}

// Without the registers: as on a machine that has none.
template <int BM, class W>
__attribute__((noinline)) void refused(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep, int64_t out_row) {
  if constexpr (__is_same(W, float)) matmul<BM>(rows, depth, out, w, w_row, w_depth, x, keep, out_row);
  else matmul<BM>(rows, depth, out, w, w_row, w_depth, x, keep);
}

// As `matmul` of 32-bit factors.
template <int BM, int DEPTH, class W>
ATTNC_INLINE void matmul(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const Packed<BM, DEPTH>& x, const float* keep = nullptr, int64_t out_row = BM) {
  static_assert(BM % 16 == 0, "columns fill registers");
  if (granted) on_tiles(rows, BM, depth, out, out_row, w, w_row, w_depth, x.pairs, keep);
  else refused<BM>(rows, depth, out, w, w_row, w_depth, x.rows, keep, out_row);
}

}  // namespace attnc
