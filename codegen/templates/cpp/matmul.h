// The matrix products of a tile: out[r][m] = sum over k of w(r, k) * x[k][m].
// x and out lie with the parallel index last; w is read where it lies, by two strides.
#pragma once
#include "halves.h"

namespace attnc {

// Here alone products and sums are joined; elsewhere that would make equal expressions differ from loop to loop.
// With `NEXT` rows of w lie side by side, and what lies `ahead` of each is on its way before it is read.
template <int ROWS, int LANES, bool NEXT, class T, class W>
#if !defined(__clang__)
__attribute__((noinline, optimize("fp-contract=fast")))
#endif
void block(int64_t depth, const T* keep, T* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const T* x, int64_t x_row, int64_t ahead = 64 / sizeof(W)) {
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
  typedef typename Vector<BYTES, T>::type V;
  constexpr int N = BYTES / sizeof(T), C = LANES / N;
  V sum[ROWS][C];
  #pragma GCC unroll 16
  for (int r = 0; r < ROWS; ++r)
    #pragma GCC unroll 8
    for (int c = 0; c < C; ++c) sum[r][c] = V{};
  for (int64_t k = 0; k < depth; ++k) {
    if constexpr (NEXT) __builtin_prefetch(w + k * w_depth + ahead);
    V b[C];
    #pragma GCC unroll 8
    for (int c = 0; c < C; ++c) b[c] = *(const V*)(x + k * x_row + c * N);
    #pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      const T a = (T)w[(NEXT ? r : r * w_row) + k * w_depth];
      #pragma GCC unroll 8
      for (int c = 0; c < C; ++c) sum[r][c] += a * b[c];
    }
  }
  #pragma GCC unroll 8
  for (int c = 0; c < C; ++c) {
    const V times = keep ? *(const V*)(keep + c * N) : V{};
    #pragma GCC unroll 16
    for (int r = 0; r < ROWS; ++r) {
      V* place = (V*)(out + r * out_row + c * N);
      *place = keep ? times * *place + sum[r][c] : sum[r][c];
    }
  }
}

template <int BM, class T> struct Ones {
  alignas(64) T values[BM];
  constexpr Ones() : values() { for (int m = 0; m < BM; ++m) values[m] = 1; }
};
template <int BM, class T> inline constexpr Ones<BM, T> ones;

#if defined(__AVX512F__) || defined(__aarch64__)
constexpr bool MANY = true;  // vectors that the processor holds: 32, else 16
#else
constexpr bool MANY = false;
#endif

// Twelve rows on their way to the processor: rows are read side by side, which it does not foresee.
constexpr int AHEAD = 24;
template <class W> ATTNC_INLINE void ahead(const W* w, int64_t row, int64_t depth) {
  for (int r = 0; r < 12; ++r)
    for (int64_t k = 0; k < depth * (int64_t)sizeof(W); k += 64) __builtin_prefetch((const char*)(w + r * row) + k);
}

// out = keep * out + the product, the product alone where there is no `keep`. Long sums are added in stretches: one
// running sum would lose the low bits of its last terms.
template <int BM, class T, class W>
ATTNC_ONCE void dense(int64_t rows, int64_t depth, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x, const T* keep, int64_t out_row) {
  constexpr int N = BYTES / sizeof(T);
  constexpr int LANES = MANY && BM % (4 * N) == 0 ? 4 * N : BM % (2 * N) == 0 ? 2 * N : N;
  constexpr bool TALL = LANES == N || (MANY && LANES == 2 * N);
  constexpr int64_t STRETCH = 256;
  static_assert(BM % LANES == 0, "a tile of rows is a multiple of the vector");
  for (int64_t k = 0; k == 0 || k < depth; k += STRETCH) {
    const int64_t part = min_(STRETCH, depth - k);
    const T* times = k > 0 ? ones<BM, T>.values : keep;
    for (int m = 0; m < BM; m += LANES) {
      const W* from = w + k * w_depth;
      const T* own = times ? times + m : nullptr;
      int64_t r = 0;
      if constexpr (TALL)  // as many sums at once as hide what each waits for
        for (; r + 12 <= rows; r += 12) {
          if (w_depth == 1 && BM == N) ahead(from + (r + AHEAD) * w_row, w_row, part);
          if (w_row == 1 && BM == N) block<12, LANES, true>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM, 64 * w_depth);
          else block<12, LANES, false>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
        }
      for (; r + 6 <= rows; r += 6) {
        if (LANES > N && w_row == 1) block<6, LANES, true>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
        else block<6, LANES, false>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
      }
      for (; r + 4 <= rows; r += 4) block<4, LANES, false>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
      for (; r + 2 <= rows; r += 2) block<2, LANES, false>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
      for (; r < rows; ++r) block<1, LANES, false>(part, own, out + r * out_row + m, out_row, from + r * w_row, w_row, w_depth, x + k * BM + m, BM);
    }
  }
}

// 16-bit operands are widened a panel at a time: what is read for every column of a tile is converted once.
template <int BM, class H>
inline void widened(int64_t rows, int64_t depth, float* out, const H* w, int64_t w_row, int64_t w_depth, const float* x, const float* keep) {
  constexpr int64_t SIDE = 64;
  alignas(64) float panel[SIDE * SIDE];
  const bool across = w_row == 1 && w_depth != 1;  // whichever lies side by side stays so
  for (int64_t r = 0; r < rows; r += SIDE)
    for (int64_t k = 0; k == 0 || k < depth; k += SIDE) {
      const int64_t high = min_(SIDE, rows - r), deep = min_(SIDE, depth - k);
      const int64_t outer = across ? deep : high, inner = across ? high : deep;
      const int64_t step = across ? w_depth : w_row, unit = across ? w_row : w_depth;
      const H* from = w + r * w_row + k * w_depth;
      for (int64_t i = 0; i < outer; ++i) {
        constexpr int N = BYTES / (int)sizeof(float);
        const int64_t whole = unit == 1 ? inner / N * N : 0;
        for (int64_t j = 0; j < whole; j += N) *(Full<float>*)(panel + i * SIDE + j) = row_of<float>(from + i * step + j);
        for (int64_t j = whole; j < inner; ++j) panel[i * SIDE + j] = real(from[i * step + j * unit]);
      }
      dense<BM>(high, deep, out + r * BM, (const float*)panel, across ? 1 : SIDE, across ? SIDE : 1, x + k * BM, k > 0 ? ones<BM, float>.values : keep, BM);
    }
}

// A factor of any type: the product of what is narrow has rows of BM columns.
template <int BM, class T, class W>
ATTNC_ONCE void product(int64_t rows, int64_t depth, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x, const T* keep, int64_t out_row) {
  if constexpr (sizeof(W) == 2) widened<BM>(rows, depth, out, w, w_row, w_depth, x, keep);
  else dense<BM>(rows, depth, out, w, w_row, w_depth, x, keep, out_row);
}

template <int BM, class T, class W>
ATTNC_INLINE void matmul(int64_t rows, int64_t depth, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x, const T* keep = nullptr, int64_t out_row = BM) {
  product<BM>(rows, depth, out, w, w_row, w_depth, x, keep, out_row);
}

}  // namespace attnc
