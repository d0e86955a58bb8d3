// The products of a tile of which each row takes some positions only: what no row of a vector takes is left out.
#pragma once
#include "narrow.h"

namespace attnc {

template <class X> ATTNC_INLINE int64_t row_at(const X* x, int m) { return x[m]; }
ATTNC_INLINE int64_t row_at(int64_t x, int) { return x; }

// Of positions first .. first + count those that some row of each vector takes, counted from the first.
template <int BM, class T> struct Reach {
  static constexpr int N = BYTES / (int)sizeof(T), GROUPS = BM / N;
  int count, low[GROUPS], high[GROUPS];
  bool whole = true;
  template <class L, class H> ATTNC_ONCE Reach(const L& lows, const H& highs, int64_t first, int number) : count(number) {
    for (int g = 0; g < GROUPS; ++g) {
      int64_t least = row_at(lows, g * N), most = row_at(highs, g * N);
      for (int m = g * N + 1; m < g * N + N; ++m) least = min_(least, row_at(lows, m)), most = max_(most, row_at(highs, m));
      low[g] = (int)min_<int64_t>(max_<int64_t>(least - first, 0), count);
      high[g] = (int)min_<int64_t>(max_<int64_t>(most - first, 0), count);
      if (low[g] >= high[g]) low[g] = count, high[g] = 0;
      whole = whole && low[g] == 0 && high[g] == count;
    }
  }
  // Where those of several vectors of rows begin and end.
  ATTNC_ONCE int from(int m, int rows) const {
    int found = count;
    for (int g = m / N; g < (m + rows) / N; ++g) found = min_(found, low[g]);
    return found;
  }
  ATTNC_ONCE int to(int m, int rows) const {
    int found = 0;
    for (int g = m / N; g < (m + rows) / N; ++g) found = max_(found, high[g]);
    return found;
  }
};

constexpr int TOGETHER = 8;  // positions: sums of theirs hide in one vector what each waits for

// A product of so many positions, of which `vectors` lie side by side.
template <int MOST, class T, class W>
inline void beside(int vectors, int64_t depth, T* out, int64_t out_row, const W* w, int64_t w_row, int64_t w_depth, const T* x) {
  if constexpr (MOST > 1)
    if (vectors < MOST) return beside<MOST - 1>(vectors, depth, out, out_row, w, w_row, w_depth, x);
  constexpr int ROWS = MOST > (MANY ? 3 : 1) ? TOGETHER / 2 : TOGETHER;  // as many as there are registers for
  for (int r = 0; r < TOGETHER; r += ROWS)
    block<ROWS, MOST * BYTES / (int)sizeof(T), false>(depth, (const T*)nullptr, out + r * out_row, out_row, w + r * w_row, w_row, w_depth, x, out_row);
}

// out = the product, whose rows are positions; 0 for what no row of a vector takes of a position that others take.
template <int BM, class T, class W>
ATTNC_ONCE void matmul_reached(const Reach<BM, T>& reach, int64_t depth, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x) {
  constexpr int N = Reach<BM, T>::N, WIDE = MANY ? 4 : 2, MOST = WIDE < BM / N ? WIDE : BM / N, ROWS = TOGETHER;
  if (reach.whole || reach.count < ROWS) return matmul<BM>(reach.count, depth, out, w, w_row, w_depth, x);
  const int last = reach.to(0, BM);
  for (int r = reach.from(0, BM); r < last; r += ROWS) {
    const int top = min_(r, max_(last - ROWS, 0));
    int begin = BM / N, end = 0;
    for (int g = 0; g < BM / N; ++g)
      if (reach.low[g] < top + ROWS && reach.high[g] > top) begin = min_(begin, g), end = g + 1;
    T* rows = out + top * BM;
    for (int g = begin; g < end; g += MOST)
      beside<MOST>(min_(MOST, end - g), depth, rows + g * N, BM, w + top * w_row, w_row, w_depth, x + g * N);
    for (int i = 0; i < ROWS; ++i)
      for (int g = 0; g < BM / N; ++g)
        if (g < begin || g >= end) *(Full<T>*)(rows + i * BM + g * N) = Full<T>{};
  }
}

// out = keep * out + the product over positions, of which each vector takes its own.
template <int BM, class T, class W>
ATTNC_ONCE void matmul_over_reached(const Reach<BM, T>& reach, int64_t rows, T* out, const W* w, int64_t w_row, int64_t w_depth, const T* x, const T* keep = nullptr) {
  constexpr int N = Reach<BM, T>::N, MOST = MANY ? 16 : 12, SOME = 4;
  if (reach.whole) return matmul<BM>(rows, reach.count, out, w, w_row, w_depth, x, keep);
  for (int g = 0; g < BM / N; ++g) {
    const int from = min_(reach.low[g], reach.high[g]), depth = reach.high[g] - from;
    const W* first = w + from * w_depth;
    const T *lanes = x + from * BM + g * N, *own = keep ? keep + g * N : nullptr;
    T* to = out + g * N;
    int64_t r = 0;
    if (w_row == 1)
      for (; r + MOST <= rows; r += MOST) block<MOST, N, true>(depth, own, to + r * BM, BM, first + r, 1, w_depth, lanes, BM);
    for (; r + SOME <= rows; r += SOME) block<SOME, N, false>(depth, own, to + r * BM, BM, first + r * w_row, w_row, w_depth, lanes, BM);
    for (; r < rows; ++r) block<1, N, false>(depth, own, to + r * BM, BM, first + r * w_row, w_row, w_depth, lanes, BM);
  }
}

}  // namespace attnc
