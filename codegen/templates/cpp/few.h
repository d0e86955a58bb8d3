// Products of a tile of few rows with what is streamed, which is read where it lies: keys[n] and values[n] side by side.
#pragma once
#include "rows.h"

namespace attnc {

constexpr int FAR = 32;  // keys or values that are on their way before they are read: the processor foresees too few

template <class S> ATTNC_INLINE void on_the_way(const S* from, int64_t count) {
  for (int64_t k = 0; k < count * (int64_t)sizeof(S); k += 64) __builtin_prefetch((const char*)from + k);
}

// Two vectors of elements as one, of which every second lies in the other: so bfloat16 becomes 32 bits in one step.
template <class T, class S> constexpr bool DEALT = __is_same(T, float) && __is_same(S, bfloat16) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__;

template <int CHUNK, class T, class S> ATTNC_INLINE void read_chunk(const S* from, Full<T>* x) {
  constexpr int N = BYTES / (int)sizeof(T);
  if constexpr (DEALT<T, S> && CHUNK % 2 == 0) {
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; c += 2) {
      Full<uint32_t> bits;
      __builtin_memcpy(&bits, from + c * N, sizeof(bits));
      x[c] = (Full<T>)(bits << 16), x[c + 1] = (Full<T>)(bits & 0xffff0000);
    }
  } else {
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) x[c] = row_of<T>(from + c * N);
  }
}

// Elements dealt to two vectors as above, and back.
template <class T> ATTNC_INLINE void dealt(Full<T>& one, Full<T>& other) {
  constexpr int N = BYTES / (int)sizeof(T);
  Full<typename Signed<T>::type> even, odd;
  for (int i = 0; i < N; ++i) even[i] = 2 * i, odd[i] = 2 * i + 1;
  const Full<T> x = one, y = other;
  one = shuffled(x, y, even), other = shuffled(x, y, odd);
}
template <class T> ATTNC_INLINE void gathered(Full<T>& one, Full<T>& other) {
  constexpr int N = BYTES / (int)sizeof(T);
  Full<typename Signed<T>::type> low, high;
  for (int i = 0; i < N; ++i) low[i] = i / 2 + i % 2 * N, high[i] = N / 2 + i / 2 + i % 2 * N;
  const Full<T> x = one, y = other;
  one = shuffled(x, y, low), other = shuffled(x, y, high);
}

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
  constexpr int N = BYTES / (int)sizeof(T), PARTS = DEALT<T, S> ? 2 : 1;
  const int64_t whole = step == 1 ? depth / (PARTS * N) * (PARTS * N) : 0;
  for (int n = 0; n < BM; n += N)
    for (int r = 0; r < ROWS; ++r) {
      const int rows = min_(N, count - n);
      Full<T> sum[N];
      #pragma GCC unroll 16
      for (int i = 0; i < N; ++i) sum[i] = Full<T>{};
      for (int i = 0; r == 0 && i < N; ++i) on_the_way(keys + (n + FAR + i) * row, whole);
      for (int64_t k = 0; k < whole; k += PARTS * N) {
        Full<T> q[PARTS], own[PARTS];
        read_chunk<PARTS, T>(x + r * x_row + k, q);
        if constexpr (PARTS == 2) dealt<T>(q[0], q[1]);
        const auto add = [&](int i) __attribute__((always_inline)) {
          read_chunk<PARTS, T>(keys + (n + i) * row + k, own);
          for (int c = 0; c < PARTS; ++c) sum[i] += q[c] * own[c];
        };
        if (rows == N) {
          #pragma GCC unroll 16
          for (int i = 0; i < N; ++i) add(i);
        } else {
          for (int i = 0; i < rows; ++i) add(i);
        }
      }
      folded<1, T>(sum);
      for (int64_t k = whole; k < depth; ++k)
        for (int i = 0; i < rows; ++i) sum[0][i] += x[r * x_row + k] * (T)real(keys[(n + i) * row + k * step]);
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
  Full<T> sum[ROWS][CHUNK];
  #pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r)
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) sum[r][c] = Full<T>{};
  for (int n = 0; n < count; ++n) {
    Full<T> v[CHUNK];
    on_the_way(values + (n + FAR) * row, CHUNK * N);
    read_chunk<CHUNK, T>(values + n * row, v);
    #pragma GCC unroll 8
    for (int r = 0; r < ROWS; ++r) {
      const T p = x[r * x_row + n];
      #pragma GCC unroll 8
      for (int c = 0; c < CHUNK; ++c) sum[r][c] += p * v[c];
    }
  }
  #pragma GCC unroll 8
  for (int r = 0; r < ROWS; ++r) {
    if constexpr (DEALT<T, S>)
      for (int c = 0; c + 1 < CHUNK; c += 2) gathered<T>(sum[r][c], sum[r][c + 1]);
    #pragma GCC unroll 8
    for (int c = 0; c < CHUNK; ++c) {
      Full<T>* place = (Full<T>*)(out + r * out_row + c * N);
      *place = *place + sum[r][c];
    }
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
