// The matrix products of a tile on tile registers, which multiply bfloat16 and add up in 32 bits:
// out[r][m] = sum over k of w(r, k) * x[k][m]. A register has 16 rows of w and 32 values of k, or 16 pairs of values of k
// and 16 columns of x; what is left over at the ends is filled up with zeros.
#pragma once
#include "amx_sums.h"
#include "functions.h"
#include "pairs.h"
#include "rows.h"
#include "turned.h"

namespace attnc {

// Products take so little time that vectors decide: two at once, so that one is computed while the other waits.
constexpr int VECTORS = 2;

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
  const Full<uint16_t> both = rounded(low, high);
  return (Full<uint32_t>)shuffled(both, both, order);
}

// Two rows of bfloat16 only have to be put side by side.
ATTNC_INLINE Full<uint32_t> paired(const bfloat16* first, int64_t row, int64_t left) {
  typedef uint16_t Row __attribute__((vector_size(32), aligned(2)));
  const Full<uint32_t> low = left > 0 ? __builtin_convertvector(*(const Row*)first, Full<uint32_t>) : Full<uint32_t>{};
  const Full<uint32_t> high = left > 1 ? __builtin_convertvector(*(const Row*)(first + row), Full<uint32_t>) : Full<uint32_t>{};
  return low | high << 16;
}

template <int BM> ATTNC_ONCE void pack(uint32_t* to, const float* x, int64_t depth) {
  for (int64_t k = 0; k < (depth + 31) / 32 * 32; k += 2, to += BM) {
    if (k % 32 == 0) awake();
    for (int64_t m = 0; m < BM; m += 16) *(Full<uint32_t>*)(to + m) = paired(x + k * BM + m, BM, depth - k);
  }
}

// Rows of memory as columns of pairs of rows: two values side by side are turned as one of 32 bits. Where tile registers
// are not granted they are columns of x.
template <int BM>
ATTNC_ONCE void read_pairs(uint32_t* to, float* x, const bfloat16* from, int64_t row, int64_t step, int rows, int columns) {
  if (!granted || step != 1) {
    read_rows<BM>(from, row, step, rows, columns, (float(*)[BM])x);
    if (granted) pack<BM>(to, x, columns);
    return;
  }
  for (int c = 0; c < columns; c += 32) {
    const int left = columns - c;
    for (int m = 0; m < BM; m += 16) {
      Full<float> both[16];
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) {
        both[i] = Full<float>{};
        if (m + i >= rows) continue;
        const bfloat16* line = from + (m + i) * row + c;
        if (left >= 32) __builtin_memcpy(&both[i], line, 64);
        else __builtin_memcpy(&both[i], line, 2 * left);
      }
      exchanged<1, float>(both);
      #pragma GCC unroll 16
      for (int i = 0; i < 16; ++i) *(Full<float>*)(to + (c / 2 + i) * BM + m) = both[i];
    }
  }
}

// What is rounded where it is made.
template <int N> ATTNC_INLINE Lanes<float, N> narrow_exp2_(Lanes<float, N> x) { return power_of_2<true>(x); }
template <int N> ATTNC_INLINE Lanes<float, N> narrow_exp_(Lanes<float, N> x) { return narrow_exp2_(x * Lanes<float, N>(1.44269504f)); }

// x as pairs of rows, rounded once for all products that read it. `rows` is x itself.
template <int BM, int DEPTH> struct Packed {
  static constexpr int SIZE = (DEPTH + 31) / 32 * 16 * BM;
  static constexpr bool LARGE = 4 * SIZE > 32 << 10;  // for a thread's stack
  float* const rows;
  alignas(64) uint32_t own[LARGE ? 1 : SIZE];
  uint32_t* pairs;
  Packed(const Packed&) = delete;
  Packed(float* x) : rows(x), pairs(LARGE ? room<uint32_t>(SIZE) : own) {}  // its rows are put one by one
  Packed(float* x, const bfloat16* from, int64_t row, int64_t step, int count, int columns) : Packed(x) {
    read_pairs<BM>(pairs, x, from, row, step, count, columns);
  }
  Packed(float* x, int64_t depth) : Packed(x) {
    if (granted) pack<BM>(pairs, x, depth);
  }
  ~Packed() {
    if (LARGE) __builtin_free(pairs);
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
  // To nearest, ties away from 0: in fewer steps than to even.
  template <class L> ATTNC_INLINE void pair(int k, int m, L low, L high) {
    typedef Full<uint32_t> Bits;
    #pragma GCC unroll 16
    for (int p = 0; p < L::PARTS; ++p)
      *(Bits*)(pairs + k / 2 * BM + m + 16 * p) = ((Bits)low.pack.part[p] + 0x8000) >> 16 | (((Bits)high.pack.part[p] + 0x8000) & 0xffff0000);
  }
};

constexpr int64_t DEEP = 256;  // values of k that are added up at once

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

// One function for all products of a kernel, for it takes long to compile. Whole registers of bfloat16 are read where
// they lie; what has to be turned is, once for all that read it, where a place is given for it.
template <class W>
ATTNC_ONCE void on_tiles(int64_t rows, int64_t columns, int64_t depth, float* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const uint32_t* pairs, const float* keep, Spot spot) {
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
      sums(rows, columns, deep, out, out_row, to, whole, b, times);
    } else if (__is_same(W, bfloat16) && w_depth == 1 && rows % 16 == 0 && deep % 32 == 0) {
      sums(rows, columns, deep, out, out_row, (const uint16_t*)from, w_row, b, times);
    } else {
      for (int64_t r = 0; r < rows; r += HIGH) {
        const int64_t high = min_(HIGH, rows - r);
        for (int64_t i = 0; i < high; i += 16) copied(copy[i], DEEP, from + (r + i) * w_row, w_row, w_depth, high - i, deep);
        sums(high, columns, deep, out + r * out_row, out_row, copy[0], DEEP, b, times);
      }
    }
  }
}

// By tile registers, or without them from the rows of x.
template <int BM, class W>
ATTNC_ONCE void narrow_product(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const float* x, const uint32_t* pairs, const float* keep, int64_t out_row, Spot spot) {
  static_assert(BM % 16 == 0, "columns fill registers");
  if (granted && depth > 0) on_tiles(rows, BM, depth, out, out_row, w, w_row, w_depth, pairs, keep, spot);
  else product<BM>(rows, depth, out, w, w_row, w_depth, x, keep, out_row);
}

// As `matmul` of 32-bit factors.
template <int BM, int DEPTH, class W>
ATTNC_INLINE void matmul(int64_t rows, int64_t depth, float* out, const W* w, int64_t w_row, int64_t w_depth, const Packed<BM, DEPTH>& x, const float* keep = nullptr, int64_t out_row = BM, Spot spot = {}) {
  narrow_product<BM>(rows, depth, out, w, w_row, w_depth, x.rows, x.pairs, keep, out_row, spot);
}

}  // namespace attnc
