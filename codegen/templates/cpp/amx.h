// The matrix products of a tile on tile registers, which multiply bfloat16 and add up in 32 bits:
// out[r][m] = sum over k of w(r, k) * x[k][m]. A register has 16 rows of w and 32 values of k, or 16 pairs of values of k
// and 16 columns of x; what is left over at the ends is filled up with zeros.
#pragma once
#include "matmul.h"
#include "turned.h"
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

// Two rows of bfloat16 only have to be put side by side.
ATTNC_INLINE Full<uint32_t> paired(const bfloat16* first, int64_t row, int64_t left) {
  typedef uint16_t Half __attribute__((vector_size(32), aligned(2)));
  const Full<uint32_t> low = left > 0 ? __builtin_convertvector(*(const Half*)first, Full<uint32_t>) : Full<uint32_t>{};
  const Full<uint32_t> high = left > 1 ? __builtin_convertvector(*(const Half*)(first + row), Full<uint32_t>) : Full<uint32_t>{};
  return low | high << 16;
}

inline __attribute__((noinline)) void pack(uint32_t* to, int64_t columns, const float* x, int64_t depth) {
  for (int64_t k = 0; k < (depth + 31) / 32 * 32; k += 2, to += columns) {
    awake(k);
    for (int64_t m = 0; m < columns; m += 16) *(Full<uint32_t>*)(to + m) = paired(x + k * columns + m, columns, depth - k);
  }
}

// x as pairs of rows, rounded once for all products that read it. `rows` is x itself.
template <int BM, int DEPTH> struct Packed {
  static constexpr int SIZE = (DEPTH + 31) / 32 * 16 * BM;
  static constexpr bool LARGE = 4 * SIZE > 32 << 10;  // for a thread's stack
  float* const rows;
  alignas(64) uint32_t own[LARGE ? 1 : SIZE];
  uint32_t* pairs;
  Packed(const Packed&) = delete;
  Packed(float* x) : rows(x), pairs(LARGE ? new uint32_t[SIZE] : own) {}  // its rows are put one by one
  Packed(float* x, int64_t depth) : Packed(x) {
    if (granted) pack(pairs, BM, x, depth);
  }
  ~Packed() {
    if (LARGE) delete[] pairs;
  }
  // Lanes of row k from column m on, the rows in order: those of an even row wait in `first` for the next one's.
  template <bool ODD, class L> ATTNC_INLINE void put(int k, int m, L x, L& first, Half<ODD>) {
    if (ODD) pair(k - 1, m, first, x);
    else first = x;
  }
  // After the last of `depth` rows: what is left of a pair, and of a register's rows.
  template <class L> ATTNC_INLINE void end(int depth, int m, L first) {
    if (depth % 2) pair(depth - 1, m, first, L(0.0f));
    for (int k = (depth + 1) / 2 * 2; k % 32; k += 2) pair(k, m, L(0.0f), L(0.0f));
    for (int k = 0; k < depth && !granted; ++k)
      for (int i = m; i < m + L::PARTS * 16; ++i) rows[k * BM + i] = bits_<float>(k % 2 ? pairs[k / 2 * BM + i] & 0xffff0000 : pairs[k / 2 * BM + i] << 16);
  }
  template <class L> ATTNC_INLINE void pair(int k, int m, L low, L high) {
    Full<uint16_t> order;
    for (int i = 0; i < 16; ++i) order[2 * i] = i, order[2 * i + 1] = 16 + i;
    #pragma GCC unroll 16
    for (int p = 0; p < L::PARTS; ++p) *(Full<uint16_t>*)(pairs + k / 2 * BM + m + 16 * p) = __builtin_shuffle(rounded(low.pack.part[p], high.pack.part[p]), order);
  }
};

constexpr int64_t DEEP = 128;  // values of k at once, so that those of x stay in four registers while all of w passes

// 16 rows of w as they are in memory, or turned where columns lie side by side, with zeros past both ends.
template <class W>
inline void copied(uint16_t* to, int64_t pitch, const W* w, int64_t w_row, int64_t w_depth, int64_t rows, int64_t depth) {
  const int64_t whole = (depth + 31) / 32 * 32;
  if (w_row == 1 && rows >= 16) {
    for (int64_t k = 0; k < whole; k += 32) {
      Full<float> x[16];  // pairs, moved as 32 bits
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) x[i] = (Full<float>)paired(w + (k + 2 * i) * w_depth, w_depth, depth - k - 2 * i);
      exchanged<1, float>(x);
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) *(Full<uint16_t>*)(to + i * pitch + k) = (Full<uint16_t>)x[i];
    }
    return;
  }
  for (int64_t r = 0; r < 16; ++r) {
    int64_t k = 0;
    if (w_depth == 1 && r < rows)
      for (; k + 32 <= depth; k += 32) {
        const W* from = w + r * w_row + k;
        *(Full<uint16_t>*)(to + r * pitch + k) = rounded(row_of<float>(from), row_of<float>(from + 16));
      }
    for (; k < whole; ++k) to[r * pitch + k] = r < rows && k < depth ? stored<bfloat16>(real(w[r * w_row + k * w_depth])).bits : 0;
  }
}

// K registers of each 16 columns of x, in registers 4 to 7.
template <int C, int AT, int K> ATTNC_INLINE void laid(const uint32_t* b, int64_t b_row) {
  if constexpr (AT < K) {
    tile_load<4 + AT>(b + 16 * AT * b_row, 4 * b_row);
    if constexpr (C > 1) tile_load<4 + K + AT>(b + 16 * AT * b_row + 16, 4 * b_row);
    laid<C, AT + 1, K>(b, b_row);
  }
}

// What values k of w add: 32 of each row.
template <int R, int C, int AT, int K> ATTNC_INLINE void step(const uint16_t* a, int64_t a_row) {
  if constexpr (AT < K) {
    tile_load<2>(a + 32 * AT, 2 * a_row), tile_multiply<0, 2, 4 + AT>();
    if constexpr (C > 1) tile_multiply<1, 2, 4 + K + AT>();
    if constexpr (R > 1) tile_load<3>(a + 16 * a_row + 32 * AT, 2 * a_row), tile_multiply<1, 3, 4 + AT>();
    step<R, C, AT + 1, K>(a, a_row);
  }
}

// R x 16 rows of w times C x 16 columns of x, K registers of each, that stay in registers 4 to 7. Sums are two at least,
// where there is work for two: each waits for its last product.
template <int R, int C, int K> ATTNC_INLINE void strip(const uint16_t* a, int64_t a_row, float* to, int64_t to_row) {
  static_assert(R * C <= 2 && C * K <= 4, "there are eight registers");
  tile_zero<0>();
  if (R * C > 1) tile_zero<1>();
  step<R, C, 0, K>(a, a_row);
  tile_store<0>(to, 4 * to_row);
  if (R * C > 1) tile_store<1>(C > 1 ? to + 16 : to + 16 * to_row, 4 * to_row);
}

// All rows of w times these columns. Sums that are added to something, and those of fewer rows, pass through memory:
// registers that begin with what is there would wait for it.
template <int C, int K>
void panel(int64_t rows, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, int64_t b_row, const float* keep) {
  laid<C, 0, K>(b, b_row);
  constexpr int64_t HIGH = 64, R = 2 / C;
  alignas(64) float sum[HIGH][C][16];
  const bool direct = !keep && rows % 16 == 0;
  for (int64_t first = 0; first < rows; first += HIGH, out += HIGH * out_row) {
    const int64_t high = min_(HIGH, rows - first), to_row = direct ? out_row : 16 * C;
    float* to = direct ? out : sum[0][0];
    const uint16_t* from = a + first * a_row;
    int64_t r = 0;
    for (; r + 16 * (R - 1) < high; r += 16 * R) strip<R, C, K>(from + r * a_row, a_row, to + r * to_row, to_row);
    if (R > 1 && r < high) strip<1, C, K>(from + r * a_row, a_row, to + r * to_row, to_row);
    for (r = 0; r < high && !direct; ++r)
      for (int c = 0; c < C; ++c) {
        const Full<float> own = *(const Full<float>*)sum[r][c];
        Full<float>* place = (Full<float>*)(out + r * out_row) + c;
        *place = keep ? fused_part(((const Full<float>*)keep)[c], *place, own) : own;
      }
  }
}

constexpr const float* EACH = ones<32, float>.values;  // what every column keeps

// `depth` values of k, at most DEEP.
inline __attribute__((noinline)) void panels(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const uint16_t* a, int64_t a_row, const uint32_t* b, const float* keep) {
  const auto kept = [keep](int64_t m) { return keep && keep != EACH ? keep + m : keep; };
  int64_t m = 0;
  for (; depth <= 64 && m + 32 <= columns; m += 32)
    (depth <= 32 ? panel<2, 1> : panel<2, 2>)(rows, out + m, out_row, a, a_row, b + m, columns, kept(m));
  for (; m < columns; m += 16)
    (depth <= 32 ? panel<1, 1> : depth <= 64 ? panel<1, 2> : depth <= 96 ? panel<1, 3> : panel<1, 4>)(rows, out + m, out_row, a, a_row, b + m, columns, kept(m));
}

// One function for all products of a kernel, for it takes long to compile. Whole registers of bfloat16 are read where
// they lie; what has to be turned is, once for all that read it, where a place is given for it.
template <class W>
__attribute__((noinline)) void on_tiles(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const uint32_t* pairs, const float* keep, Spot spot) {
  constexpr int64_t HIGH = 32;
  alignas(64) uint16_t copy[HIGH][DEEP];
  const bool turns = __is_same(W, bfloat16) && w_row == 1 && w_depth != 1;
  const Block block = turns ? spot.block(w, rows, depth) : Block{};
  for (int64_t k = 0; k < depth; k += DEEP) {
    const int64_t deep = min_(DEEP, depth - k), whole = (deep + 31) / 32 * 32;
    const W* from = w + k * w_depth;
    const float* times = k > 0 ? EACH : keep;
    const uint32_t* b = pairs + k / 2 * columns;
    if (block.place) {
      uint16_t* to = block.place + k * ((rows + 15) / 16 * 16);
      for (int64_t r = 0; r < rows && !block.full; r += 16) copied(to + r * whole, whole, from + r * w_row, w_row, w_depth, min_<int64_t>(16, rows - r), deep);
      panels(rows, columns, deep, out, out_row, to, whole, b, times);
    } else if (__is_same(W, bfloat16) && w_depth == 1 && rows % 16 == 0 && deep % 32 == 0) {
      panels(rows, columns, deep, out, out_row, (const uint16_t*)from, w_row, b, times);
    } else {
      for (int64_t r = 0; r < rows; r += HIGH) {
        const int64_t high = min_(HIGH, rows - r);
        for (int64_t i = 0; i < high; i += 16) copied(copy[i], DEEP, from + (r + i) * w_row, w_row, w_depth, high - i, deep);
        panels(high, columns, deep, out + r * out_row, out_row, copy[0], DEEP, b, times);
      }
    }
  }
}

// As `matmul` of 32-bit factors.
template <int BM, int DEPTH, class W>
ATTNC_INLINE void matmul(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const Packed<BM, DEPTH>& x, const float* keep = nullptr, int64_t out_row = BM, Spot spot = {}) {
  static_assert(BM % 16 == 0, "columns fill registers");
  if (granted && depth > 0) on_tiles(rows, BM, depth, out, out_row, w, w_row, w_depth, x.pairs, keep, spot);
  else plain<BM>(rows, depth, out, w, w_row, w_depth, x.rows, keep, out_row);
}

}  // namespace attnc
