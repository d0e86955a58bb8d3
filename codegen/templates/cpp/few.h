// Products of a tile of few rows with what is streamed, which is read where it lies: keys[n] and values[n] side by side.
#pragma once
#include "rows.h"

namespace attnc {

constexpr int FAR = 64;  // keys

// Lane i of x[0] becomes the sum of x[i]: vectors are folded onto one another, two at a time.
template <int S, class T> ATTNC_INLINE void folded(Full<T>* x) {
  constexpr int N = BYTES / (int)sizeof(T);
  if constexpr (S < N) {
    #pragma GCC unroll 16
    for (int i = 0; i < N; i += 2 * S) {
      swapped<S, T>(x[i], x[i + S]);
      x[i] = x[i] + x[i + S];
    }
    folded<2 * S, T>(x);
  }
}

// out[r][n] = sum over k of x[r][k] * keys[n][k], for n < count; 0 for the other lanes.
template <int ROWS, int BM, class T, class S>
#if !defined(__clang__)
__attribute__((noinline, optimize("fp-contract=fast")))
#endif
void few_scores(int count, int64_t depth, T* out, const S* keys, int64_t row, int64_t step, const T* x, int64_t x_row) {
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
  constexpr int N = BYTES / (int)sizeof(T);
  const int64_t whole = step == 1 ? depth / N * N : 0;
  for (int n = 0; n < BM; n += N)
    for (int r = 0; r < ROWS; ++r) {
      Full<T> sum[N];
      #pragma GCC unroll 16
      for (int i = 0; i < N; ++i) sum[i] = Full<T>{};
      if (n + N <= count && row == whole) {  // one row follows another: the processor foresees that by itself
        #pragma GCC unroll 16
        for (int i = 0; i < N; ++i)
          for (int64_t k = 0; k < whole; k += N) sum[i] += *(const Full<T>*)(x + r * x_row + k) * row_of<T>(keys + (n + i) * row + k);
      } else if (n + N <= count) {
        if (r == 0)  // rows are read side by side, which no processor foresees
          for (int i = 0; i < N; ++i)
            for (int64_t k = 0; k < whole * (int64_t)sizeof(S); k += 64) __builtin_prefetch((const char*)(keys + (n + FAR + i) * row) + k);
        for (int64_t k = 0; k < whole; k += N) {
          const Full<T> q = *(const Full<T>*)(x + r * x_row + k);
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i) sum[i] += q * row_of<T>(keys + (n + i) * row + k);
        }
      } else {
        for (int i = 0; n + i < count; ++i)
          for (int64_t k = 0; k < whole; k += N) sum[i] += *(const Full<T>*)(x + r * x_row + k) * row_of<T>(keys + (n + i) * row + k);
      }
      folded<1, T>(sum);
      for (int64_t k = whole; k < depth; ++k)
        for (int i = 0; i < N && n + i < count; ++i) sum[0][i] += x[r * x_row + k] * (T)real(keys[(n + i) * row + k * step]);
      *(Full<T>*)(out + r * BM + n) = sum[0];
    }
}

// out[r][f] += sum over n < count of x[r][n] * values[n][f].
template <int ROWS, int CHUNK, class T, class S>
#if !defined(__clang__)
__attribute__((noinline, optimize("fp-contract=fast")))
#endif
void few_chunk(int count, T* out, int64_t out_row, const S* values, int64_t row, const T* x, int64_t x_row) {
#if defined(__clang__)
#pragma clang fp contract(fast)
#endif
  constexpr int N = BYTES / (int)sizeof(T);
  const bool apart = row != CHUNK * N;
  Full<T> sum[ROWS][CHUNK];
  #pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) sum[r][c] = Full<T>{};
  for (int n = 0; n < count; ++n) {
    Full<T> v[CHUNK];
    if (apart)
      for (int c = 0; c < CHUNK * N * (int)sizeof(S); c += 64) __builtin_prefetch((const char*)(values + (n + FAR) * row) + c);
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) v[c] = row_of<T>(values + n * row + c * N);
    #pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const T p = x[r * x_row + n];
      #pragma GCC unroll 8
      for (int c = 0; c < CHUNK; ++c) sum[r][c] += p * v[c];
    }
  }
  #pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) {
      Full<T>* place = (Full<T>*)(out + r * out_row + c * N);
      *place = *place + sum[r][c];
    }
}

template <int ROWS, class T, class S>
ATTNC_ONCE void few_values(int count, int64_t width, T* out, int64_t out_row, const S* values, int64_t row, int64_t step, const T* x, int64_t x_row) {
  constexpr int N = BYTES / (int)sizeof(T), PART = ROWS > 4 ? 4 : ROWS, CHUNK = 4;
  int64_t whole = 0;
  if (step == 1) {
    whole = width / N * N;
    for (int r = 0; r < ROWS; r += PART) {
      T* to = out + r * out_row;
      const T* p = x + r * x_row;
      int64_t f = 0;
      for (; f + CHUNK * N <= whole; f += CHUNK * N) few_chunk<PART, CHUNK>(count, to + f, out_row, values + f, row, p, x_row);
      for (; f < whole; f += N) few_chunk<PART, 1>(count, to + f, out_row, values + f, row, p, x_row);
    }
  }
  for (int r = 0; r < ROWS; ++r)
    for (int64_t f = whole; f < width; ++f) {
      T sum = 0;
      for (int n = 0; n < count; ++n) sum += x[r * x_row + n] * (T)real(values[n * row + f * step]);
      out[r * out_row + f] += sum;
    }
}

}  // namespace attnc
