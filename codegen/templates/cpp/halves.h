// 16-bit reals: kept in memory, computed in 32 bits.
#pragma once
#include "functions.h"

namespace attnc {

struct bfloat16 { uint16_t bits; };
struct float16 { _Float16 value; };

inline float real(float x) { return x; }
inline double real(double x) { return x; }
inline float real(float16 x) { return (float)x.value; }
inline float real(bfloat16 x) {
  return bits_<float>((uint32_t)x.bits << 16);
}
template <class T> inline T stored(double x) { return (T)x; }
template <class T> inline T stored(float x) { return (T)x; }
template <> inline float16 stored<float16>(float x) { return {(_Float16)x}; }
template <> inline float16 stored<float16>(double x) { return {(_Float16)x}; }
template <> inline bfloat16 stored<bfloat16>(float x) {  // round to nearest, ties to even; NaN stays NaN
  const uint32_t bits = bits_<uint32_t>(x);
  if ((bits & 0x7fffffff) > 0x7f800000) return {(uint16_t)((bits >> 16) | 0x40)};
  return {(uint16_t)((bits + 0x7fff + ((bits >> 16) & 1)) >> 16)};
}
template <> inline bfloat16 stored<bfloat16>(double x) { return stored<bfloat16>((float)x); }

template <class T> using Full = typename Vector<BYTES, T>::type;

// 16 bits each as 32; GCC takes a vector of 512 bits apart for it unless it is told.
template <class H> ATTNC_INLINE Full<uint32_t> widened_bits(H bits) {
#if defined(__AVX512F__) && !defined(__clang__)
  if constexpr (BYTES == 64) {
    typedef short Short __attribute__((vector_size(32)));
    typedef int Int __attribute__((vector_size(64)));
    return (Full<uint32_t>)__builtin_ia32_pmovzxwd512_mask((Short)bits, Int{}, (unsigned short)-1);
  }
#endif
  return __builtin_convertvector(bits, Full<uint32_t>);
}

// A vector of float16 as float32; of a loop GCC 12 makes one conversion for each.
ATTNC_INLINE Full<float> widened_halves(const float16* from) {
#if defined(__AVX512F__)
  short __attribute__((vector_size(32))) bits;
  __builtin_memcpy(&bits, from, sizeof(bits));
  return (Full<float>)__builtin_ia32_vcvtph2ps512_mask(bits, Full<float>{}, (unsigned short)-1, 4);
#elif defined(__F16C__) && defined(__AVX2__)
  short __attribute__((vector_size(16))) bits;
  __builtin_memcpy(&bits, from, sizeof(bits));
  return (Full<float>)__builtin_ia32_vcvtph2ps256(bits);
#else
  Full<float> x{};
  for (int i = 0; i < BYTES / 4; ++i) x[i] = real(from[i]);
  return x;
#endif
}

// A vector of elements as they are computed with, from memory and to it.
template <class T, class S> ATTNC_INLINE Full<T> row_of(const S* from) {
  constexpr int N = BYTES / (int)sizeof(T);
  Full<T> x;
  if constexpr (__is_same(S, T)) {
    x = *(const Full<T>*)from;
  } else if constexpr (__is_same(S, bfloat16) && __is_same(T, float)) {
    typename Vector<2 * N, uint16_t>::type bits;
    __builtin_memcpy(&bits, from, sizeof(bits));
    x = (Full<T>)(widened_bits(bits) << 16);
  } else if constexpr (__is_same(S, float16) && __is_same(T, float)) {
    x = widened_halves(from);
  } else {
    for (int i = 0; i < N; ++i) x[i] = (T)real(from[i]);
  }
  return x;
}
}  // namespace attnc
