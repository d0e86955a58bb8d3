// Rows of memory to and from tiles, in which a row of memory is a column: squares of a vector's width are turned.
#pragma once
#include "halves.h"

namespace attnc {

// As bfloat16 in the low halves: to nearest, ties to even; NaN stays NaN.
ATTNC_INLINE Full<uint32_t> as_bfloat16(Full<float> x) {
  typedef Full<uint32_t> U;
  const U bits = (U)x, up = (bits + 0x7fff + ((bits >> 16) & 1)) >> 16, nan = (bits >> 16) | 0x40;
  return (bits & 0x7fffffff) > 0x7f800000 ? nan : up;
}

template <class T, class S> ATTNC_INLINE void to_row(S* to, Full<T> x) {
  constexpr int N = BYTES / (int)sizeof(T);
  if constexpr (__is_same(S, T)) {
    *(Full<T>*)to = x;
  } else if constexpr (__is_same(S, bfloat16) && __is_same(T, float)) {
    const auto low = __builtin_convertvector(as_bfloat16(x), typename Vector<2 * N, uint16_t>::type);
    __builtin_memcpy(to, &low, sizeof(low));
  } else {
    for (int i = 0; i < N; ++i) to[i] = stored<S>(x[i]);
  }
}

// Every second block of S elements of one vector changes places with the block before it of the other.
template <int S, class T> ATTNC_INLINE void swapped(Full<T>& one, Full<T>& other) {
  constexpr int N = BYTES / (int)sizeof(T);
  typename Signed<T>::type low[N], high[N];
  for (int j = 0; j < N; ++j) low[j] = j & S ? N + j - S : j, high[j] = j & S ? N + j : j + S;
  typedef Full<typename Signed<T>::type> I;
  const I a = *(const I*)low, b = *(const I*)high;
  const Full<T> x = one, y = other;
  one = shuffled(x, y, a), other = shuffled(x, y, b);
}

// x[i][j] becomes x[j][i]: blocks of 1, 2, 4 .. elements change places.
template <int S, class T> ATTNC_INLINE void exchanged(Full<T>* x) {
  constexpr int N = BYTES / (int)sizeof(T);
  if constexpr (S < N) {
    #pragma GCC unroll 16
    for (int i = 0; i < N; ++i)
      if (!(i & S)) swapped<S, T>(x[i], x[i + S]);
    exchanged<2 * S, T>(x);
  }
}

// to[i] = from[i * step].
template <class T, class S> inline void read_line(const S* from, int64_t step, int count, T* to) {
  if constexpr (__is_same(S, T))
    if (step == 1) return (void)__builtin_memcpy(to, from, count * sizeof(T));
  for (int i = 0; i < count; ++i) to[i] = (T)from[i * step];
}

// tile[column][row] = from[row * row_stride + column * step]; 0 for the rows that are not there.
template <int BM, class T, class S>
ATTNC_ONCE void read_rows(const S* from, int64_t row_stride, int64_t step, int rows, int columns, T (*tile)[BM]) {
  constexpr int N = BYTES / (int)sizeof(T);
  int whole = 0;
  if constexpr (BM % N == 0)
    if (step == 1) {
      whole = columns / N * N;
      for (int m = 0; m < BM; m += N)
        for (int c = 0; c < whole; c += N) {
          Full<T> x[N];
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i) x[i] = m + i < rows ? row_of<T>(from + (m + i) * row_stride + c) : Full<T>{};
          exchanged<1, T>(x);
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i) *(Full<T>*)&tile[c + i][m] = x[i];
        }
    }
  for (int m = 0; m < BM; ++m)
    for (int c = whole; c < columns; ++c) tile[c][m] = m < rows ? (T)real(from[m * row_stride + c * step]) : 0;
}

// The same of bfloat16, for as many columns as fill vectors: two side by side are turned as one of 32 bits.
template <int BM>
ATTNC_INLINE int write_pairs(bfloat16* to, int64_t row_stride, int rows, int columns, const float (*tile)[BM]) {
  constexpr int N = BYTES / 4;
  const int whole = columns / (2 * N) * (2 * N);
  for (int m = 0; m < rows; m += N)
    for (int c = 0; c < whole; c += 2 * N) {
      Full<float> x[N];
      #pragma GCC unroll 16
      for (int i = 0; i < N; ++i)
        x[i] = (Full<float>)(as_bfloat16(*(const Full<float>*)&tile[c + 2 * i][m]) | as_bfloat16(*(const Full<float>*)&tile[c + 2 * i + 1][m]) << 16);
      exchanged<1, float>(x);
      #pragma GCC unroll 16
      for (int i = 0; i < N; ++i)
        if (m + i < rows) __builtin_memcpy(to + (m + i) * row_stride + c, &x[i], BYTES);
    }
  return whole;
}

// to[row * row_stride + column * step] = tile[column][row], for the rows that are there.
template <int BM, class T, class S>
ATTNC_ONCE void write_rows(S* to, int64_t row_stride, int64_t step, int rows, int columns, const T (*tile)[BM]) {
  constexpr int N = BYTES / (int)sizeof(T);
  int first = 0, whole = 0;
  if constexpr (BM % N == 0)
    if (step == 1) {
      if constexpr (__is_same(S, bfloat16) && __is_same(T, float)) first = write_pairs<BM>(to, row_stride, rows, columns, tile);
      whole = columns / N * N;
      for (int m = 0; m < rows; m += N)
        for (int c = first; c < whole; c += N) {
          Full<T> x[N];
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i) x[i] = *(const Full<T>*)&tile[c + i][m];
          exchanged<1, T>(x);
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i)
            if (m + i < rows) to_row<T>(to + (m + i) * row_stride + c, x[i]);
        }
    }
  for (int m = 0; m < rows; ++m)
    for (int c = whole; c < columns; ++c) to[m * row_stride + c * step] = stored<S>(tile[c][m]);
}

}  // namespace attnc
